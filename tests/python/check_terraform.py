#!/usr/bin/env python3
"""Judges terraform/ with Terraform itself, by the schema of Google's provider, without downloading a provider.

    VENV/bin/python tests/python/check_terraform.py

Terraform connects to stand-ins that know the provider's schema, read from pinned npm packages (kept in target/), so
that `terraform validate` judges every type, argument, block and reference, and `terraform test` runs every module's tests
with mocked providers. Beside that: format, unused names, descriptions, checks of variables, READMEs. The check first
finds what is planted. The exit status is 1 if something is wrong, 2 if Terraform or npm is missing.
"""

import pathlib
import shutil
import sys
import tempfile
import unittest

from terraform_schema import hygiene, self_test, tree

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "target/terraform-schema"


def main():
    missing = [program for program in ("terraform", "npm") if shutil.which(program) is None]
    if missing:
        print(f"missing: {', '.join(missing)}", file=sys.stderr)
        return 2
    with tree.providers(ROOT, CACHE) as providers, tempfile.TemporaryDirectory() as folder:
        if not passes_self_test(providers):
            return 1
        problems = list(judge(tree.Tree(ROOT, folder, providers.environment)))
    for problem in problems:
        print(f"VIOLATION {problem}", file=sys.stderr)
    return 1 if problems else 0


def judge(copy):
    """Every problem of the tree; prints what was looked at."""
    yield from hygiene.problems(copy.root)
    for name in copy.unformatted():
        yield f"terraform/{name}: terraform fmt would change it"
    for folder in copy.folders:
        findings = copy.findings(folder)
        yield from findings
        if findings:
            continue
        if not (copy.root / folder / "tests").is_dir():
            yield f"{folder}: there are no tests"
            continue
        passed, failed = copy.tests(folder)
        print(f"{folder}: valid, {passed} tests passed, {failed} failed")
        if failed:
            yield f"{folder}: {failed} tests failed; `terraform test` says which"


def passes_self_test(providers):
    """A judge that finds nothing wrong is believed only after it has found what is."""
    self_test.Planted.source, self_test.Planted.providers = ROOT, providers
    suite = unittest.defaultTestLoader.loadTestsFromModule(self_test)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    return result.wasSuccessful() and result.testsRun > 0


if __name__ == "__main__":
    sys.exit(main())
