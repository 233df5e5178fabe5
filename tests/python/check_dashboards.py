#!/usr/bin/env python3
"""Runs every query of every panel, and every rule, in a real Prometheus that scrapes a loaded demo; provokes alerts for real.

    CURFEW_TEST_BINARIES=target/debug VENV/bin/python tests/python/check_dashboards.py [--save FILE]

Two demos run side by side. One, in one process, is loaded with everything that a panel could show: afterwards no panel may be
empty, and what is planted must be found so. The other, in two processes, is spoilt: its controller is stopped, a binding is planted, a document forged, and the
alerts must fire, after a quiet time in which they must not. `--save` keeps the panels' answers for drawing. The exit status
is 1 if something is wrong, 2 if Prometheus is missing.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import sys
import threading
import time
import traceback

from observability import dashboards, load
from observability.demo import Demo, eventually
from observability.prometheus import Prometheus

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))

# What Grafana would put in for a picture of the last minutes.
VARIABLES = {"$__rate_interval": "60s", "$__range": "5m", "$__interval": "1s"}

# A request of a minute, until its binding is proven gone: removal begins 5 s after the end.
NATURAL_END = 90

# Until an alert whose cause is there fires, with `for` shortened.
FIRES_WITHIN = 30

# A few scrapes more.
SETTLE = 3

# `for` of all alerts here: a scrape or two may fail on a busy machine.
PATIENCE = "5s"

# What must be found wrong, or nothing is believed.
PLANTED = {"title": "planted", "panels": [{"title": "planted", "type": "stat", "targets": [{"expr": "sum(curfew_nothing)"}, {"expr": "sum("}, {"expr": "0 / sum(curfew_policy_batch_size_count < 0 or vector(0))"}]}]}

# What an alert about absence must not see in the quiet time, and must see when the controller stands still.
ABSENT = {"CurfewAccessOverdue", "CurfewControllerAbsent"}


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--save", type=pathlib.Path)
    save = parser.parse_args(arguments).save
    if shutil.which("prometheus") is None:
        print("missing: prometheus; install with `apt-get install prometheus`", file=sys.stderr)
        return 2
    binaries = os.environ.get("CURFEW_TEST_BINARIES", ROOT / "target/debug")
    problems = []
    alerts = threading.Thread(target=_collect, args=(problems, provoke, binaries))
    alerts.start()
    _collect(problems, panels, binaries, save)
    alerts.join()
    for problem in problems:
        print(f"VIOLATION {problem}", file=sys.stderr)
    return 1 if problems else 0


def _collect(problems, check, *arguments):
    """A check that could not be made is a problem too, whatever was in its way: one of them runs in a thread."""
    try:
        problems.extend(check(*arguments))
    except Exception as error:  # noqa: BLE001
        problems.append(f"{check.__name__}: {''.join(traceback.format_exception(error))}")


def panels(binaries, save):
    """Every query of every panel, after a busy minute."""
    with Demo(binaries) as demo, Prometheus(RULES, demo.targets, PATIENCE) as prometheus:
        eventually("the demo is scraped", FIRES_WITHIN, lambda: prometheus.now("min(curfew_policy_batch_size_count) == 0"))
        start = time.time()
        ends = load.burden(demo)
        demo.until("alice", ends, "ENDED", within=NATURAL_END)
        # The last counts are scraped, and recorded.
        gone = 'sum(curfew_removal_lag_seconds_count{cause="natural"}) > 0 and curfew:removals_late:ratio_rate5m >= 0'
        eventually("the natural end is recorded", FIRES_WITHIN, lambda: prometheus.now(gone))
        time.sleep(SETTLE)
        answers = [answer for file, dashboard in dashboards.read(ROOT).items() for answer in _answers(prometheus, file, dashboard, start)]
        if not all(answer["problem"] for answer in _answers(prometheus, "planted", PLANTED, start)):
            return ["an empty panel is not found"]
        if save:
            save.write_text(json.dumps(answers), encoding="utf-8")
        empty = [f"{answer['file']}: {answer['title']}: {answer['problem']}: {answer['query']}" for answer in answers if answer["problem"]]
        print(f"{len(answers)} queries of {len({(answer['file'], answer['title']) for answer in answers})} panels, {len(empty)} empty or wrong")
        return empty + list(_of_rules(prometheus))


def _answers(prometheus, file, dashboard, start):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = dashboards.put_in(target["expr"], VARIABLES)
            answer = {"file": file, "dashboard": dashboard["title"], "title": panel["title"], "panel": panel, "target": target, "query": query, "problem": None}
            try:
                result = prometheus.lately(query, start, time.time()) if panel["type"] != "table" else [(labels, [(0, value)]) for labels, value in prometheus.now(query)]
                answer["result"] = result
                if not any(math.isfinite(float(value)) for _, values in result for _, value in values):
                    answer["problem"] = "empty"
            except ValueError as error:
                answer["problem"] = str(error)
            yield answer


def _of_rules(prometheus):
    rules = prometheus.rules()
    yield from (f"{rule['name']}: {rule['health']} {rule.get('lastError', '')}" for rule in rules if rule["health"] != "ok")
    print(f"{len(rules)} rules evaluated by Prometheus")
    for name, alert in prometheus.firing().items():
        said = " ".join(alert["annotations"].values())
        if "<error" in said or "{{" in said or "<no value>" in said:
            yield f"{name} says {said}"


def provoke(binaries):
    """The alerts, for real."""
    with Demo(binaries, split=True) as demo, Prometheus(RULES, demo.targets, PATIENCE) as prometheus:
        request = load.demo_active(demo, "alice", load.VIEWER)
        eventually("both are scraped", FIRES_WITHIN, lambda: {"controller", "intake"} <= {labels["component"] for labels, value in prometheus.now('up == 1')} and prometheus.now("curfew_oldest_overdue_binding_seconds"))
        eventually("nothing is absent", FIRES_WITHIN, lambda: not ABSENT & prometheus.firing().keys())
        time.sleep(SETTLE)
        early = prometheus.firing()
        yield from (f"{name} fires though nothing is wrong: {alert['annotations']}" for name, alert in early.items())
        with demo.stopped("controller"):
            fired = eventually("the stopped controller is noticed", FIRES_WITHIN, lambda: prometheus.firing() if prometheus.firing().keys() >= ABSENT else None)
            yield from (f"{name} fires with the controller stopped" for name in fired.keys() - ABSENT)
        eventually("the controller is back", FIRES_WITHIN, lambda: not ABSENT & prometheus.firing().keys())
        load.plant(demo, request)
        load.forge(demo, load.NOBODY)
        demo.act("alice", request, "withdraw")
        seen = {"CurfewUnauthorisedBinding", "CurfewForgedDocument"}
        fired = eventually("planted binding and forged document are noticed", FIRES_WITHIN, lambda: prometheus.firing() if prometheus.firing().keys() >= seen else None)
        yield from (f"{name} fires beside {sorted(seen)}" for name in fired.keys() - seen)
        for name in sorted(ABSENT | seen):
            print(f"fired for real: {name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
