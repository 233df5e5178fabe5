#!/usr/bin/env python3
"""Judges the bills of materials of the shipped programs: by CycloneDX's schema, and by what cargo builds them of.

    CURFEW_TEST_BINARIES=target/debug VENV/bin/python tests/python/check_sbom.py

The built `xtask sbom` writes them; here `cargo tree` is asked again, in another form and by another reader. The check first finds
what is planted.
"""

import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

ROOT = pathlib.Path(__file__).resolve().parents[2]
XTASK = pathlib.Path(os.environ.get("CURFEW_TEST_BINARIES", ROOT / "target/debug")).resolve() / "xtask"

# What is shipped: package and program.
SHIPPED = {"curfew-server": "curfew", "curfew-demo": "curfew-demo"}

# Code in other languages that packages bring along, which cargo does not know of.
BUNDLED = {"sqlite", "aws-lc"}

SPDX = get_spdx_licensing()


def main():
    for package, program in SHIPPED.items():
        with tempfile.TemporaryDirectory() as folder:
            said(XTASK, "sbom", "--package", package, "--program", program, "--out", folder)
            bill = json.loads(pathlib.Path(folder, f"{program}.cdx.json").read_text(encoding="utf-8"))
            licences = pathlib.Path(folder, f"{program}.licences.txt").read_text(encoding="utf-8")
        built, linked = tree(package, "normal"), tree(package, "normal,no-proc-macro")
        Planted.good = bill, licences, built, linked
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Planted)
        if not unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful():
            return 1
        found = [*schema_problems(bill), *problems(bill, licences, built, linked)]
        for problem in found:
            print(f"VIOLATION {program}: {problem}", file=sys.stderr)
        if found:
            return 1
        print(f"{program}: {len(built)} packages, {len(linked)} of them in the program")
    return 0


def schema_problems(bill):
    """What CycloneDX's schema has against a bill. (Some ten seconds for a whole one.)"""
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)):
        yield f"CycloneDX's schema: {error}"


def problems(bill, licences, built, linked):
    """What is wrong with a bill and its licences; `built` and `linked` are names with versions."""
    root = bill["metadata"]["component"]["bom-ref"]
    components = {component["bom-ref"]: component for component in bill["components"]}
    if len(components) != len(bill["components"]):
        yield "a component is named twice"
    listed = {root, *components}
    yield from (f"{name} is missing" for name in sorted(built - listed))
    yield from (f"{name} is no part of the program" for name in sorted(listed - built))
    for name, component in components.items():
        if (component["scope"] == "required") != (name in linked):
            yield f"{name} is said to be {component['scope']}"
        if "purl" in component and not component.get("hashes"):
            yield f"{name} comes from the registry and has no checksum"
        for licence in component["licenses"]:
            if SPDX.validate(licence["expression"]).errors:
                yield f"{name} has a licence that SPDX does not know: {licence['expression']}"
    named = {edge["ref"]: set(edge["dependsOn"]) for edge in bill["dependencies"]}
    reached, waiting = set(), [root]
    while waiting:
        at = waiting.pop()
        if at not in reached:
            reached.add(at)
            waiting.extend(named.get(at, ()))
    yield from (f"nothing leads from the program to {name}" for name in sorted(listed - reached))
    nested = {part["name"] for component in components.values() for part in component.get("components", [])}
    yield from (f"the bundled {name} is missing" for name in sorted(BUNDLED - nested))
    yield from _unlicensed(components, licences, linked)


def _unlicensed(components, licences, linked):
    lines = set(licences.split("\n" + "-" * 80, 1)[0].splitlines())
    for name in sorted(linked):
        component = components.get(name)
        if component and "purl" in component:
            start = f"{component['name']} {component['version']}: {component['licenses'][0]['expression']}"
            if not any(line == start or line.startswith(f"{start} (the package has no licence file") for line in lines):
                yield f"{name} is not among the licences"


def tree(package, edges):
    """Names with versions, as the bill refers to them."""
    listing = said("cargo", "tree", "--locked", "--package", package, "--edges", edges, "--prefix", "none", "--no-dedupe", "--format", "{p}")
    words = (line.split(" ") for line in listing.splitlines() if line)
    return {f"{word[0]}@{word[1].removeprefix('v')}" for word in words}


def said(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


class Planted(unittest.TestCase):
    """The check itself: what is planted must be found. `good` is set before the suite is loaded."""

    good = None

    def assert_found(self, expected, change):
        bill, licences, built, linked = copy.deepcopy(self.good)
        found = list(problems(*change(bill, licences, built, linked)))
        self.assertTrue(any(expected in problem for problem in found), f"{expected!r} is not in {found}")

    def test_a_package_that_is_left_out(self):
        def change(bill, *rest):
            bill["components"] = [component for component in bill["components"] if component["name"] != "axum"]
            return bill, *rest

        self.assert_found("axum@", change)

    def test_a_package_too_many(self):
        def change(bill, *rest):
            bill["components"].append({"type": "library", "bom-ref": "x@1", "name": "x", "version": "1", "scope": "required", "licenses": [{"expression": "MIT"}]})
            return bill, *rest

        self.assert_found("x@1 is no part of the program", change)
        self.assert_found("nothing leads from the program to x@1", change)

    def test_wrong_fields(self):
        for field, value, expected in [
            ("scope", "excluded", "is said to be excluded"),
            ("licenses", [{"expression": "Made-Up-1.0"}], "SPDX"),
            ("hashes", [], "has no checksum"),
        ]:
            with self.subTest(expected):
                def change(bill, *rest):
                    next(component for component in bill["components"] if component["name"] == "axum")[field] = value
                    return bill, *rest

                self.assert_found(expected, change)

    def test_a_word_that_the_schema_does_not_know(self):
        bill = copy.deepcopy(self.good[0])
        bill["components"] = bill["components"][:2]
        self.assertEqual(list(schema_problems(bill)), [])
        bill["components"][0]["scope"] = "sometimes"
        self.assertIn("schema", "".join(schema_problems(bill)))

    def test_a_licence_that_is_left_out(self):
        def change(bill, licences, *rest):
            return bill, "\n".join(line for line in licences.splitlines() if not line.startswith("axum ")), *rest

        self.assert_found("is not among the licences", change)

    def test_bundled_code_that_is_left_out(self):
        def change(bill, *rest):
            for component in bill["components"]:
                component.pop("components", None)
            return bill, *rest

        self.assert_found("the bundled sqlite is missing", change)


if __name__ == "__main__":
    sys.exit(main())
