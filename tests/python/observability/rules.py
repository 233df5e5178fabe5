"""deploy/prometheus as it stands in the tree: rules, the cases of their tests, and the pages of docs/runbooks."""

import dataclasses
import pathlib
import re

import yaml

SEVERITIES = {"page", "ticket"}

# What an alert says beside its expression.
ANNOTATIONS = {"summary", "description", "runbook_url"}

# An alert of the same trouble at a slower pace shares the page.
SLOWLY = "Slowly"

# What every page answers.
PARTS = ("## Look first", "**Escalate**", "**Safe to ignore**")

# A page with less says nothing.
PAGE_WORDS_MIN = 60

CASE = re.compile(r'^ALERTS\{alertname="(\w+)",alertstate="firing"\}$')


@dataclasses.dataclass(frozen=True)
class Case:
    """What a test says of an alert at one time: the labels of those that fire, or nothing."""

    alert: str
    firing: tuple


class Tree:
    """The files, read."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.folder = self.root / "deploy/prometheus"
        self.rules = [rule for file in sorted(self.folder.glob("rules/*.yml")) for group in _yaml(file)["groups"] for rule in group["rules"]]
        self.alerts = {rule["alert"]: rule for rule in self.rules if "alert" in rule}
        self.recorded = [rule["record"] for rule in self.rules if "record" in rule]
        self.cases = [case for file in sorted(self.folder.glob("tests/*.yml")) for case in _cases(_yaml(file))]
        self.pages = {path.stem: path.read_text(encoding="utf-8") for path in sorted(self.root.glob("docs/runbooks/*.md"))}
        self.index = self.pages.pop("README", "")

    def problems(self):
        """Everything that is missing or belongs to nothing."""
        names = [rule["alert"] for rule in self.rules if "alert" in rule]
        yield from (f"{name}: two alerts have this name" for name in sorted({name for name in names if names.count(name) > 1}))
        yield from (f"{name}: a recorded series that nobody reads" for name in self.recorded if not self._is_read(name))
        for name, rule in self.alerts.items():
            yield from (f"{name}: {problem}" for problem in self._of_alert(name, rule))
        yield from (f"tests: {case.alert} is no alert" for case in self.cases if case.alert not in self.alerts)
        for name, text in self.pages.items():
            yield from (f"docs/runbooks/{name}.md: {problem}" for problem in self._of_page(name, text))

    def _is_read(self, name):
        pattern = re.compile(rf"{re.escape(name)}\b(?!:)")
        texts = [rule["expr"] for rule in self.rules]
        texts += [path.read_text(encoding="utf-8") for path in self.root.glob("deploy/grafana/dashboards/*.json")]
        return any(pattern.search(text) for text in texts)

    def _of_alert(self, name, rule):
        cases = [case for case in self.cases if case.alert == name]
        if not any(case.firing for case in cases):
            yield "no test in which it fires"
        if not any(not case.firing for case in cases):
            yield "no test in which it is silent"
        severity = rule.get("labels", {}).get("severity")
        if severity not in SEVERITIES:
            yield f"severity {severity!r}"
        annotations = rule.get("annotations", {})
        if set(annotations) != ANNOTATIONS:
            yield f"its annotations are {sorted(annotations)}"
            return
        if annotations["runbook_url"] != f"docs/runbooks/{name.removesuffix(SLOWLY)}.md":
            yield f"its page is {annotations['runbook_url']}"
        shown = set(re.findall(r"\$labels\.(\w+)", annotations["summary"] + annotations["description"]))
        for labels in (labels for case in cases for labels in case.firing):
            yield from (f"it speaks of the label {label}, which it does not have" for label in sorted(shown - set(labels)))

    def _of_page(self, name, text):
        if name not in {alert.removesuffix(SLOWLY) for alert in self.alerts}:
            yield "belongs to no alert"
        if not text.startswith(f"# {name}\n"):
            yield "does not begin with its name"
        if len(text.split()) < PAGE_WORDS_MIN:
            yield "says nothing"
        yield from (f"has no {part!r}" for part in PARTS if part not in text)
        if f"]({name}.md)" not in self.index:
            yield "is not in docs/runbooks/README.md"

    def missing_pages(self):
        """Alerts whose page is not there."""
        return sorted({name.removesuffix(SLOWLY) for name in self.alerts} - set(self.pages))

    def unheard(self, sources):
        """Lines of the log that a page waits for and that no source writes."""
        for name, text in self.pages.items():
            for said in re.findall(r"jsonPayload\.message=(\([^)]*\)|\"[^\"]*\")", text):
                for message in re.findall(r'"([^"]+)"', said):
                    if f'"{message}"' not in sources:
                        yield f"docs/runbooks/{name}.md: nothing logs {message!r}"

    def expressions(self):
        """Every expression of the rules and of the pages, with where it stands."""
        for rule in self.rules:
            yield rule.get("alert") or rule["record"], rule["expr"]
        for name, text in self.pages.items():
            for block in re.findall(r"^```promql\n(.*?)^```", text, re.M | re.S):
                yield from ((f"docs/runbooks/{name}.md", line) for line in block.splitlines() if line.strip())


def _yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _cases(document):
    for test in document["tests"]:
        for case in test.get("promql_expr_test", []):
            found = CASE.match(case["expr"])
            if found is None:
                raise ValueError(f"{case['expr']} is no case of an alert")
            firing = [dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"])) for sample in case["exp_samples"]]
            yield Case(found[1], tuple(firing))
