#!/usr/bin/env python3
"""Checks every file of proto/vectors without any of Curfew's code.

    python3 -m venv VENV && VENV/bin/pip install -r tests/python/requirements.txt
    VENV/bin/python tests/python/check_vectors.py [FOLDER]

Every payload is canonicalised again (RFC 8785) and read by a reader of its own, every signature verified, and every
digest, mac, chain link, tag and identifier computed anew; what is to be rejected must be, for the reason that is named.
Then the check checks itself: it changes each value of each file and must find it. Ends with `N passed, N failed`;
the exit status is 1 if anything failed.
"""

import json
import pathlib
import sys
import unittest

from vectors import payloads, self_test, trust
from vectors.tally import Tally

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "proto" / "vectors"

CHECKS = {
    "trust.json": trust.check,
    "payloads.json": payloads.check_payloads,
    "rejected.json": payloads.check_rejected,
    "facts.json": payloads.check_facts,
    "rfc8785.json": payloads.check_rfc8785,
}


def main(arguments):
    folder = pathlib.Path(arguments[0]) if arguments else FOLDER
    tally = Tally()
    for name, check in CHECKS.items():
        before = tally.passed
        check(tally, json.loads((folder / name).read_text(encoding="utf-8")))
        print(f"{name}: {tally.passed - before} passed")
    tally.equal("files of vectors", {path.name for path in folder.glob("*.json")}, set(CHECKS))
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not finds_what_is_changed(folder) else 0


def finds_what_is_changed(folder):
    self_test.Changed.files = {name: (check, folder / name) for name, check in CHECKS.items()}
    suite = unittest.defaultTestLoader.loadTestsFromModule(self_test)
    return unittest.TextTestRunner().run(suite).wasSuccessful()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
