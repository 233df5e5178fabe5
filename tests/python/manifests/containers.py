"""What holds for a container wherever it runs: its arguments, variables, mounts and ports."""

import re

PINNED_IMAGE = re.compile(r"(@sha256:[0-9a-f]{64}|:\d+\.\d+\.\d+)$")

# Our own image, by its name in the manifests.
OWN_IMAGE = "/curfew@"

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")

# What each port answers; a probe of anything else would never pass.
PATHS = {8080: {"/health"}, 9464: {"/livez", "/readyz"}}


def problems(container, volumes, product, default_port=None):
    """`volumes` are the names that may be mounted; `default_port` is what a probe without one asks."""
    name = container.get("name", "a container")
    if not PINNED_IMAGE.search(container.get("image", "")):
        yield f"{name}: the image {container.get('image')} is not bound to a version"
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"{name}: there is no volume {mount['name']}"
    if OWN_IMAGE not in container.get("image", ""):
        return
    if wrong := product.unknown_command(container.get("args", [])):
        yield f"{name}: {wrong}"
    for variable in container.get("env", []):
        if product.unknown_variable(variable["name"]):
            yield f"{name}: the program knows no variable {variable['name']}"
    ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    for probe in PROBES:
        get = container.get(probe, {}).get("httpGet")
        if get is None:
            continue
        port = get.get("port", default_port)
        port = ports.get(port, port)
        if port not in ports.values():
            yield f"{name}: {probe} asks port {port}, which is none of the container's"
        elif get["path"] not in PATHS.get(port, ()):
            yield f"{name}: {probe} asks {get['path']}, which port {port} does not answer"
