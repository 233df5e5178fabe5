#!/usr/bin/env python3
"""Judges the Dockerfile and the manifests of deploy/ by Google's, Kubernetes' and the program's own word.

    CURFEW_TEST_BINARIES=target/debug VENV/bin/python tests/python/check_manifests.py

Cloud Run and App Engine by Google's discovery documents, Kubernetes by its schemas, Dockerfiles by hadolint, the unit by
systemd where that is installed; and everywhere the commands, variables and settings by the built program: every example
configuration goes through its `config check`. The check first finds what is planted.
"""

import pathlib
import re
import sys
import unittest

import yaml
from manifests import app_engine, cloud_run, image, kubernetes, self_test, unit
from manifests.product import Product

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

# In these folders, what is no manifest.
NO_MANIFEST = {"curfew.yaml", "collector.yaml"}

# The servers that must start with a configuration, and the variables that their manifests set.
CONFIGURATIONS = {
    "deploy/cloudrun/curfew.yaml": (["intake", "controller"], {"PORT": "8080"}),
    "deploy/kubernetes/curfew.yaml": (["intake", "controller"], {"CURFEW_LISTEN__APP": "0.0.0.0:8080", "CURFEW_LISTEN__OPS": "0.0.0.0:9464"}),
    "deploy/appengine/curfew.yaml": (["intake"], {"CURFEW_LISTEN__APP": "0.0.0.0:8080"}),
    "deploy/systemd/curfew.yaml": (["all"], {}),
}

# The configuration that Terraform fills in, with values as it has them, and the variables that its modules set.
TEMPLATE = "terraform/examples/complete/curfew.yaml.tftpl"
VALUES = {
    "installation": "prod",
    "scope": "organizations/123456789",
    "jsonencode(protected)": '["projects/access-system"]',
    "jsonencode(hosted_domains)": '["example.com"]',
    "store_project": "access-system",
    "jsonencode(store_database)": '"(default)"',
    "jsonencode(operators)": '["group:platform-oncall@example.com"]',
    "jsonencode(auditors)": "[]",
    "intake_key_version": "projects/p/locations/l/keyRings/r/cryptoKeys/intake/cryptoKeyVersions/1",
    "intake_key_id": "intake-1",
    "jsonencode(believed_keys)": '[{"id": "intake-1", "owner": "intake", "publicKey": "a key", "level": "SESSION", "verbs": ["REQUEST"], "from": "2026-01-01", "until": "2028-01-01"}]',
    "forms_key_version": "projects/p/locations/l/keyRings/r/cryptoKeys/forms/cryptoKeyVersions/1",
    "facts_key": "projects/p/locations/l/keyRings/r/cryptoKeys/facts",
}
TEMPLATE_VARIABLES = {
    "CURFEW_BASEURL": "https://access.example.com",
    "CURFEW_IAP__AUDIENCE": "/projects/123/global/backendServices/456",
}


def main():
    product = Product.built(ROOT)
    self_test.Planted.root, self_test.Planted.product = ROOT, product
    suite = unittest.defaultTestLoader.loadTestsFromModule(self_test)
    if not unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful():
        return 1
    problems = list(judge(product))
    for problem in problems:
        print(f"VIOLATION {problem}", file=sys.stderr)
    return 1 if problems else 0


def judge(product):
    """Every problem; prints what was looked at."""
    yield from _cloud_run(product)
    files = {path.name: path.read_text(encoding="utf-8") for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name not in NO_MANIFEST}
    yield from (f"deploy/kubernetes: {problem}" for problem in kubernetes.problems(files, product))
    manifest = yaml.safe_load((DEPLOY / "appengine/app.yaml").read_text(encoding="utf-8"))
    yield from (f"deploy/appengine/app.yaml: {problem}" for problem in app_engine.problems(manifest, product))
    yield from (f"deploy/systemd/curfew.service: {problem}" for problem in unit.problems((DEPLOY / "systemd/curfew.service").read_text(encoding="utf-8"), product))
    if not unit.is_there():
        print("not judged by systemd: systemd-analyze is missing")
    yield from _images(product)
    yield from _configurations(product)
    print(f"{len(files)} files of Kubernetes for {' and '.join(kubernetes.VERSIONS)}, Cloud Run, App Engine, systemd, 2 Dockerfiles, {len(CONFIGURATIONS) + 1} configurations")


def _cloud_run(product):
    judge = cloud_run.Judge()
    for path in sorted((DEPLOY / "cloudrun").glob("*.yaml")):
        if path.name not in NO_MANIFEST:
            for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                yield from (f"{path.relative_to(ROOT)}: {problem}" for problem in judge.problems(manifest, product))


def _images(product):
    for path, context in ((ROOT / "Dockerfile", ROOT), (DEPLOY / "appengine/Dockerfile", DEPLOY / "appengine")):
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        yield from image.lint(name, text)
        yield from image.stages(name, text, context)
        for arguments in image.health_commands(text):
            if wrong := product.unknown_command(arguments):
                yield f"{name}: HEALTHCHECK: {wrong}"
    yield from image.missing_from_context(ROOT)


def _configurations(product):
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in CONFIGURATIONS}
    template = (ROOT / TEMPLATE).read_text(encoding="utf-8")
    texts[TEMPLATE] = re.sub(r"\$\{([^}]+)\}", lambda match: VALUES[match[1]], template)
    for name, text in texts.items():
        yield from (f"{name}: there is no setting {setting}" for setting in product.unknown_settings(yaml.safe_load(text)))
        modes, environment = CONFIGURATIONS.get(name, (["intake", "controller"], TEMPLATE_VARIABLES))
        for mode in modes:
            if objection := product.objection(text, mode, environment):
                yield f"{name}: config check {mode}: {objection}"


if __name__ == "__main__":
    sys.exit(main())
