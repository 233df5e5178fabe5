"""Kubernetes' manifests by its own schemas, and against each other."""

import kubernetes_validate
import yaml

from . import containers

# The oldest that GKE still offers and the newest that the package knows.
VERSIONS = ("1.31", kubernetes_validate.latest_version().rsplit(".", 1)[0])

# GKE's own and kustomize's kinds: no schema of them is at hand, so their fields go unjudged.
WITHOUT_SCHEMA = {
    "cloud.google.com/v1 BackendConfig",
    "networking.gke.io/v1 ManagedCertificate",
    "networking.gke.io/v1beta1 FrontendConfig",
    "monitoring.googleapis.com/v1 PodMonitoring",
    "kustomize.config.k8s.io/v1beta1 Kustomization",
}

# The level `restricted` of Kubernetes' pod security standards, and a root that cannot be written.
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def problems(files, product):
    """`files` are the texts by name, kustomization.yaml among them, without the configuration."""
    manifests = [(name, manifest) for name, text in sorted(files.items()) for manifest in yaml.safe_load_all(text)]
    for name, manifest in manifests:
        yield from (f"{name}: {problem}" for problem in _schema(manifest))
    yield from _together([manifest for _, manifest in manifests], set(files), product)


def _schema(manifest):
    kind = f"{manifest.get('apiVersion')} {manifest.get('kind')}"
    if kind in WITHOUT_SCHEMA:
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{kind}: Kubernetes {version} has no such kind"
        except kubernetes_validate.ValidationError as error:
            yield f"{kind} (Kubernetes {version}): {'.'.join(map(str, error.path))}: {error.message}"


def _together(manifests, names, product):
    by_kind = {}
    for manifest in manifests:
        by_kind.setdefault(manifest.get("kind"), []).append(manifest)
    kustomization = by_kind["Kustomization"][0]
    for name in sorted(names ^ ({*kustomization["resources"], "kustomization.yaml"})):
        yield f"kustomization.yaml and the folder differ in {name}"
    maps = {generator["name"] for generator in kustomization.get("configMapGenerator", [])}
    accounts = {account["metadata"]["name"] for account in by_kind.get("ServiceAccount", [])}
    deployments = by_kind.get("Deployment", [])
    for deployment in deployments:
        name = deployment["metadata"]["name"]
        yield from (f"deployment {name}: {problem}" for problem in _deployment(deployment, maps, accounts, product))
    pods = [deployment["spec"]["template"]["metadata"]["labels"] for deployment in deployments]
    for kind, selector in _selectors(manifests):
        if selector and not any(selector.items() <= labels.items() for labels in pods):
            yield f"{kind} selects {selector}, which no deployment has"


def _selectors(manifests):
    for manifest in manifests:
        kind, spec = manifest.get("kind"), manifest.get("spec", {})
        if kind == "Service":
            yield kind, spec["selector"]
        elif kind in ("PodDisruptionBudget", "PodMonitoring"):
            yield kind, spec["selector"]["matchLabels"]
        elif kind == "NetworkPolicy":
            yield kind, spec["podSelector"].get("matchLabels", {})


def _deployment(deployment, maps, accounts, product):
    spec = deployment["spec"]["template"]["spec"]
    if spec.get("serviceAccountName") not in accounts:
        yield f"there is no service account {spec.get('serviceAccountName')}"
    if spec.get("automountServiceAccountToken") is not False:
        yield "the pod gets a Kubernetes token"
    pod = spec.get("securityContext", {})
    if not (pod.get("runAsNonRoot") and pod.get("runAsUser", 0) and pod.get("seccompProfile") == {"type": "RuntimeDefault"}):
        yield "the pod may run as root or call anything"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    if not deployment["spec"]["selector"]["matchLabels"].items() <= labels.items():
        yield "it does not select its own pods"
    for volume in spec.get("volumes", []):
        if "configMap" in volume and volume["configMap"]["name"] not in maps:
            yield f"there is no config map {volume['configMap']['name']}"
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        if container.get("securityContext") != RESTRICTED:
            yield f"{container['name']} is not restricted"
        yield from containers.problems(container, volumes, product)
