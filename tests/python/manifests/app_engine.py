"""app.yaml by the discovery document of App Engine's Admin API, whose Version it becomes."""

import json
import re

from google_schema import documents, values

# What app.yaml calls otherwise than the API; other names differ in their case alone.
RENAMED = {
    "min_num_instances": "minTotalInstances",
    "max_num_instances": "maxTotalInstances",
    "disk_size_gb": "diskGb",
    "check_interval_sec": "checkInterval",
    "timeout_sec": "timeout",
    "initial_delay_sec": "initialDelay",
    "app_start_timeout_sec": "appStartTimeout",
}

# Of app.yaml alone: which service the version belongs to.
LOCAL = {"service"}

# A map of people's own names.
VARIABLES = "env_variables"


def problems(manifest, product):
    document = json.loads((documents.FOLDER / "appengine.v1.json").read_text(encoding="utf-8"))
    version = {key: value for key, value in manifest.items() if key not in LOCAL | {VARIABLES}}
    yield from values.violations(_renamed(version), {"$ref": "Version"}, document["schemas"], "app.yaml")
    for name, value in manifest.get(VARIABLES, {}).items():
        if not isinstance(value, str):
            yield f"{VARIABLES}.{name} is no text"
        if product.unknown_variable(name):
            yield f"the program knows no variable {name}"


def _renamed(value):
    if not isinstance(value, dict):
        return value
    return {
        RENAMED.get(key, re.sub(r"_([a-z])", lambda match: match[1].upper(), key)): f"{inner}s" if key.endswith("_sec") else _renamed(inner)
        for key, inner in value.items()
    }
