#!/usr/bin/env python3
"""Holds every page against what there is: links and headings, command lines, settings, variables, paths, Terraform, reasons.

    CURFEW_TEST_BINARIES=target/debug VENV/bin/python tests/python/check_docs.py

Commands of `curfew`, `curfew-demo` and `cargo xtask` are judged by what the built programs say of themselves, those of `gcloud` by
its own table where it is installed. The check first finds what is planted.
"""

import os
import pathlib
import subprocess
import sys
import unittest

from guides import self_test
from guides.judge import Judge
from guides.markdown import Page
from guides.programs import Clap, Gcloud
from manifests.product import Product

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("CURFEW_TEST_BINARIES", ROOT / "target/debug"))


def main():
    programs = {
        "curfew": Clap(BINARIES / "curfew"),
        "curfew-demo": Clap(BINARIES / "curfew-demo"),
        "cargo xtask": Clap(BINARIES / "xtask"),
        "gcloud": Gcloud.installed(),
    }
    if not programs["gcloud"]:
        print("not judged: command lines of gcloud, which is missing")
    pages = [Page(pathlib.PurePosixPath(name), (ROOT / name).read_text(encoding="utf-8")) for name in listed()]
    judge = Judge(ROOT, pages, Product.built(ROOT), programs)
    self_test.Planted.judge = judge
    suite = unittest.defaultTestLoader.loadTestsFromModule(self_test)
    if not unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful():
        return 1
    found = [problem for page in pages for problem in judge.problems(page)]
    for problem in found:
        print(f"VIOLATION {problem}", file=sys.stderr)
    commands = [words[0].rsplit("/", 1)[-1] for page in pages for words, _ in page.commands()]
    counts = ", ".join(f"{commands.count(name)} of {name}" for name in ("gcloud", "curfew"))
    print(f"{len(pages)} pages, {sum(len(page.links()) for page in pages)} links, command lines: {counts}")
    return 1 if found else 0


def listed():
    """Every page that git tracks or would track."""
    said = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return sorted(name for name in said.splitlines() if (ROOT / name).is_file())


if __name__ == "__main__":
    sys.exit(main())
