"""deploy/local: whether Compose would understand its file, and whether what it mounts and provisions is there."""

import pathlib
import re

import compose_spec
import yaml

from . import promtool

# An image that is the same tomorrow.
PINNED = re.compile(r"^[\w./-]+:v?\d+\.\d+\.\d+$")


def problems(root):
    """Everything wrong with the folder."""
    folder = root / "deploy/local"
    text = (folder / "compose.yaml").read_text(encoding="utf-8")
    yield from (f"deploy/local/compose.yaml: {problem}" for problem in [*of_specification(text), *of_services(yaml.safe_load(text), folder)])
    passed, output = promtool.run(folder, ["check", "config", "prometheus.yml"])
    if not passed:
        yield f"deploy/local/prometheus.yml: {output}"
    yield from (f"deploy/local/grafana: {problem}" for problem in of_provisioning(yaml.safe_load(text), folder))


def of_specification(text):
    """What the Compose specification does not have."""
    try:
        compose_spec.PyCompose.from_yaml(text).validate()
    except ValueError as error:
        yield str(error)


def of_services(document, folder):
    """Images that move, mounts of nothing, ports for everybody."""
    for name, service in document["services"].items():
        if not PINNED.match(service["image"]):
            yield f"{name}: {service['image']} is not pinned"
        if service.get("network_mode") != "host" or service.get("ports"):
            yield f"{name}: the demo listens on loopback, which only the machine's own network reaches"
        said = " ".join([*service.get("command", []), *(f"{key}={value}" for key, value in service.get("environment", {}).items())])
        if not re.search(r"(listen-address|HTTP_ADDR)=127\.0\.0\.1", said):
            yield f"{name}: does not listen on loopback alone"
        for mount in mounts(service):
            if not (folder / mount[0]).exists():
                yield f"{name}: there is no {mount[0]}"
            if mount[2:] != ["ro"]:
                yield f"{name}: {mount[0]} can be written"


def mounts(service):
    """Source, place and options of each."""
    return [volume.split(":") for volume in service.get("volumes", [])]


def of_provisioning(document, folder):
    """Files that Grafana would not find or that say nothing to it."""
    files = {path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((folder / "grafana/provisioning").glob("*/*.yaml"))}
    if set(files) != {"dashboards", "datasources"} or any(file["apiVersion"] != 1 for file in files.values()):
        yield f"provisions {sorted(files)}"
        return
    listened = re.search(r"--web\.listen-address=(\S+)", " ".join(document["services"]["prometheus"]["command"]))
    for source in files["datasources"]["datasources"]:
        if source["type"] != "prometheus" or source["url"] != f"http://{listened[1]}":
            yield f"the data source {source['url']} is not where Prometheus listens"
    placed = {place: source for source, place, *_ in mounts(document["services"]["grafana"])}
    for provider in files["dashboards"]["providers"]:
        source = placed.get(provider["options"]["path"])
        if source is None or not list(pathlib.Path(folder / source).glob("*.json")):
            yield f"no dashboards are mounted at {provider['options']['path']}"
    home = document["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    place, _, file = home.rpartition("/")
    if not (folder / placed.get(place, "nowhere") / file).is_file():
        yield f"the first page {home} is not there"
