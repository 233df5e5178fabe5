#!/usr/bin/env python3
"""Judges recorded calls of the simulated cloud by the discovery documents in google-api-python-client.

    CURFEW_CLOUD_TRAFFIC=FILE cargo nextest run -p curfew-gcp -p curfew-cloudsim
    CURFEW_CLOUD_TRAFFIC=FILE VENV/bin/python tests/python/check_google_schema.py
    VENV/bin/python tests/python/check_google_schema.py --self-test

Judged are method, path and query parameters and body of every request that Curfew's own clients sent and of every one
of a test that was accepted, and every answer, also those to gcloud: field names, types, formats, enums, and the shape of
errors. The exit status is 1 if something is wrong, if a method that Curfew calls was not seen, or if there was nothing to
judge.
"""

import json
import os
import sys
import unittest

from google_schema import own_calls, self_test
from google_schema.judge import Judge

VARIABLE = "CURFEW_CLOUD_TRAFFIC"


def main(arguments):
    if not passes_self_test():
        return 1
    if arguments == ["--self-test"]:
        return 0
    path = arguments[0] if arguments else os.environ.get(VARIABLE)
    if path is None:
        print(f"name the file of recorded calls, or set {VARIABLE}", file=sys.stderr)
        return 2
    judge = Judge()
    n_calls = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            judge.call(json.loads(line))
            n_calls += 1
    return report(judge, n_calls)


def passes_self_test():
    """A judge that finds nothing wrong is believed only after it has found what is."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(self_test)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    return result.wasSuccessful() and result.testsRun > 0


def report(judge, n_calls):
    print(f"{'requests: own':>13} {'others':>7} {'answers':>8} {'errors':>7}")
    for method, count in sorted(judge.counts.items()):
        print(f"{count.own_requests:13} {count.other_requests:7} {count.answers:8} {count.errors:7}  {method}")
    missing = list(own_calls.missing(judge.counts, own_calls.names()))
    if not n_calls:
        missing.append("nothing was recorded, so nothing was judged")
    for violation, times in sorted(judge.violations.items()):
        print(f"VIOLATION ({times} times) {violation}", file=sys.stderr)
    for line in missing:
        print(f"MISSING {line}", file=sys.stderr)
    counts = judge.counts.values()
    n_requests = sum(count.own_requests + count.other_requests for count in counts)
    n_answers = sum(count.answers + count.errors for count in counts)
    print(
        f"{n_calls} calls of {len(judge.counts)} methods: {n_requests} requests and {n_answers} answers judged, "
        f"{len(judge.violations)} kinds of violation, {len(missing)} things missing"
    )
    return 1 if judge.violations or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
