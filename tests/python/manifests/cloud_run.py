"""Cloud Run's manifests by Google's discovery document, which also lists the annotations and where each may stand."""

import json
import re

from google_schema import documents, values

from . import containers

KINDS = {"serving.knative.dev/v1 Service": "Service", "run.googleapis.com/v1 WorkerPool": "WorkerPool"}

# `gcloud run deploy --iap` writes it and the service's pages document it; the discovery document does not list it.
IAP = "run.googleapis.com/iap-enabled"

# The document lists these for services; for worker pools they are documented with the pools themselves.
POOL_SCALING = {"run.googleapis.com/scalingMode", "run.googleapis.com/manualInstanceCount", "run.googleapis.com/launch-stage"}

LISTED = re.compile(r"`([a-z.]+/[A-Za-z-]+)`: ([A-Za-z, ]+)[.]?")


class Judge:
    """Knows the document."""

    def __init__(self):
        document = json.loads((documents.FOLDER / "run.v1.json").read_text(encoding="utf-8"))
        self.schemas = document["schemas"]
        description = self.schemas["ObjectMeta"]["properties"]["annotations"]["description"]
        self.annotations = {name: set(re.split(r",\s*", kinds.strip(" ,"))) for name, kinds in LISTED.findall(description)}
        if len(self.annotations) < 20:
            raise ValueError("the document lists its annotations in another form")

    def problems(self, manifest, product):
        kind = KINDS.get(f"{manifest.get('apiVersion')} {manifest.get('kind')}")
        if kind is None:
            yield f"{manifest.get('apiVersion')} {manifest.get('kind')} is nothing that Cloud Run takes"
            return
        wrong = list(values.violations(manifest, {"$ref": kind}, self.schemas, kind))
        yield from wrong
        if wrong:
            return
        yield from self._annotations(manifest["metadata"], kind)
        template = manifest["spec"]["template"]
        yield from self._annotations(template.get("metadata", {}), "Revision")
        yield from self._containers(template, product)

    def _annotations(self, metadata, kind):
        for name in metadata.get("annotations", {}):
            if (name == IAP and kind == "Service") or (name in POOL_SCALING and kind == "WorkerPool"):
                continue
            if name not in self.annotations:
                yield f"{kind}: there is no annotation {name}"
            elif kind not in self.annotations[name] and "All resources" not in self.annotations[name]:
                yield f"{kind}: the annotation {name} belongs to {', '.join(sorted(self.annotations[name]))}"

    def _containers(self, template, product):
        spec = template["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        names = {container["name"] for container in spec["containers"]}
        for container in spec["containers"]:
            port = next((port["containerPort"] for port in container.get("ports", [])), None)
            yield from containers.problems(container, volumes, product, default_port=port)
        order = template.get("metadata", {}).get("annotations", {}).get("run.googleapis.com/container-dependencies", "{}")
        for one, others in json.loads(order).items():
            for name in {one, *others} - names:
                yield f"container-dependencies names {name}, which is no container"
