"""The discovery documents that google-api-python-client carries, and the way from a call to its method."""

import dataclasses
import json
import pathlib
import re

import googleapiclient.discovery_cache

FOLDER = pathlib.Path(googleapiclient.discovery_cache.__file__).parent / "documents"

# The services that Curfew calls or that the simulated cloud serves. A path that two of them have goes to the first.
SERVICES = [
    "cloudresourcemanager.v3",
    "cloudresourcemanager.v2",
    "cloudresourcemanager.v1",
    "cloudasset.v1",
    "cloudidentity.v1",
    "iam.v1",
    "iam.v2",
    "cloudkms.v1",
    "pubsub.v1",
    "secretmanager.v1",
    "serviceusage.v1",
    "admin.directory_v1",
]


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """One method of one service."""

    name: str
    """Document and id, such as `cloudresourcemanager.v3 projects.get`."""
    verb: str
    path: re.Pattern
    """Matches the whole undecoded path, one segment for each variable."""
    template: re.Pattern
    """Matches the same paths, with the variables by the names that `parameters` has."""
    literals: int
    """Characters that are no variable: of two methods that match, the longer one is meant."""
    parameters: dict
    """Of this method and of every method of the service."""
    request: dict | None
    response: dict | None
    schemas: dict
    id: str


def load(services=SERVICES, folder=FOLDER):
    """All methods of the services, those of the first service first."""
    methods = []
    for service in services:
        document = json.loads((folder / f"{service}.json").read_text(encoding="utf-8"))
        methods.extend(_methods(service, document, document))
    return methods


def find(methods, verb, path):
    """The method that serves the path, or None."""
    found = [method for method in methods if method.verb == verb and method.path.fullmatch(path)]
    return max(found, key=lambda method: method.literals, default=None)


def _methods(service, document, resource):
    for description in resource.get("methods", {}).values():
        yield _method(service, document, description)
    for child in resource.get("resources", {}).values():
        yield from _methods(service, document, child)


def _method(service, document, description):
    flat = document["servicePath"] + description.get("flatPath", description["path"])
    schema = lambda side: description.get(side) and {"$ref": description[side]["$ref"]}
    return Method(
        name=f"{service} {description['id'].split('.', 1)[1]}",
        verb=description["httpMethod"],
        path=re.compile("/" + _pattern(flat)),
        template=re.compile("/" + _pattern(document["servicePath"] + description["path"])),
        literals=len(re.sub(r"\{[^}]*\}", "", flat)),
        parameters={**document.get("parameters", {}), **description.get("parameters", {})},
        request=schema("request"),
        response=schema("response"),
        schemas=document["schemas"],
        id=description["id"],
    )


def _pattern(template):
    """A path template as a regular expression: `{x}` is a segment without a verb, `{+x}` any number of segments."""
    parts = re.split(r"\{(\+?)([^}]*)\}", template)
    pattern = re.escape(parts[0])
    for several, name, literal in zip(parts[1::3], parts[2::3], parts[3::3]):
        pattern += f"(?P<{name}>{'.+' if several else '[^/:]+'})" + re.escape(literal)
    return pattern
