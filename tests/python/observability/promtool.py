"""Prometheus' own word on the rules, and whether their tests can fail."""

import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

# Replacements of every expression: one that never fires, one that always does.
NEVER, ALWAYS = "vector(0) > 1", "vector(1)"

FAILED_CASE = re.compile(r'ALERTS\{alertname=\\"(\w+)\\"')


def problems(folder):
    """What `promtool` finds in deploy/prometheus; prints what it looked at."""
    tests = sorted(str(path.relative_to(folder)) for path in folder.glob("tests/*.yml"))
    for arguments in (["check", "config", "prometheus.yml"], ["check", "rules", *rule_files(folder)], ["test", "rules", *tests]):
        passed, output = run(folder, arguments)
        if not passed:
            yield f"promtool {' '.join(arguments[:2])}: {output}"


def rule_files(folder):
    """Where the rules are, relative to the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob("rules/*.yml"))


def untested(folder, alerts):
    """Alerts whose tests pass although the alert never fires, or always does."""
    for expression, what in ((NEVER, "never fires"), (ALWAYS, "always fires")):
        with tempfile.TemporaryDirectory() as copy:
            copy = pathlib.Path(copy) / "prometheus"
            shutil.copytree(folder, copy)
            _replace(copy, expression)
            _, output = run(copy, ["test", "rules", *sorted(str(path.relative_to(copy)) for path in copy.glob("tests/*.yml"))])
        noticed = set(FAILED_CASE.findall(output))
        yield from (f"{alert}: its tests pass although it {what}" for alert in alerts if alert not in noticed)


def _replace(folder, expression):
    """Every alert asks this, and nothing is recorded that none of them asks for."""
    for name in rule_files(folder):
        document = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
        for group in document["groups"]:
            group["rules"] = [rule for rule in group["rules"] if "alert" in rule]
            for rule in group["rules"]:
                rule["expr"] = expression
                rule.pop("for", None)
        (folder / name).write_text(yaml.safe_dump(document), encoding="utf-8")


def run(folder, arguments):
    """Whether `promtool` is content, and what it says."""
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).strip()
