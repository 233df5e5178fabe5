#!/usr/bin/env python3
"""Judges deploy/prometheus, deploy/grafana, deploy/local and docs/runbooks: by promtool, by Grafana's own types, by the table of metrics.

    VENV/bin/python tests/python/check_prometheus.py

Every alert has a test in which it fires, one in which it is silent, and a page; its tests fail if it never fires and if it
always does. Every expression of rules, pages and dashboards names metrics, labels and values of docs/metrics.md. The check
first finds what is planted. The exit status is 1 if something is wrong, 2 if promtool is missing.
"""

import pathlib
import shutil
import sys
import unittest

from observability import dashboards, local, promtool, self_test
from observability.metrics import Metrics
from observability.promql import Judge
from observability.rules import Tree

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    if shutil.which("promtool") is None:
        print("missing: promtool; install with `apt-get install prometheus`", file=sys.stderr)
        return 2
    self_test.Planted.root = ROOT
    suite = unittest.defaultTestLoader.loadTestsFromModule(self_test)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    if not result.wasSuccessful() or not result.testsRun:
        return 1
    problems = list(judge(Tree(ROOT)))
    for problem in problems:
        print(f"VIOLATION {problem}", file=sys.stderr)
    return 1 if problems else 0


def judge(tree):
    """Every problem; prints what was looked at."""
    yield from tree.problems()
    yield from (f"{name}: docs/runbooks/{name}.md is missing" for name in tree.missing_pages())
    yield from tree.unheard("".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("crates/*/src/**/*.rs"))))
    yield from promtool.problems(tree.folder)
    yield from promtool.untested(tree.folder, tree.alerts)
    expressions = Judge(Metrics.read(ROOT / "docs/metrics.md"), tree.recorded)
    n_expressions = 0
    for where, text in [*tree.expressions(), *dashboards.expressions(ROOT)]:
        n_expressions += 1
        yield from (f"{where}: {problem}" for problem in expressions.problems(text))
    yield from dashboards.problems(ROOT, tree.pages)
    yield from local.problems(ROOT)
    firing = sum(1 for case in tree.cases if case.firing)
    print(f"{len(tree.alerts)} alerts, {len(tree.recorded)} recorded series, {firing} firing and {len(tree.cases) - firing} silent cases, {len(tree.pages)} pages, {n_expressions} expressions")


if __name__ == "__main__":
    sys.exit(main())
