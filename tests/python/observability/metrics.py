"""The table of docs/metrics.md: every metric with its type, its labels and their values."""

import dataclasses
import re

# What Prometheus itself gives to every series, and deploy/ to some.
TARGET_LABELS = {"job", "instance", "component"}

# What Prometheus makes of a scrape and of its own alerts.
BUILT_IN = {"up": ("gauge", {}), "ALERTS": ("gauge", {"alertname": None, "alertstate": None, "severity": None})}

# What a histogram is seen as.
PARTS = ("_bucket", "_count", "_sum")

NAME = re.compile(r"^[a-z_][a-z0-9_]*$")


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric. `labels` has the values of each label, or None where the list is open."""

    name: str
    kind: str
    labels: dict


class Metrics:
    """All of them, by name."""

    def __init__(self, rows):
        self.by_name = {name: Metric(name, kind, labels) for name, (kind, labels) in BUILT_IN.items()}
        for row in rows:
            if row.name in self.by_name:
                raise ValueError(f"{row.name} stands twice in the table of metrics")
            self.by_name[row.name] = row

    @classmethod
    def read(cls, path):
        metrics = cls(list(_rows(path.read_text(encoding="utf-8"))))
        if len(metrics.by_name) < 20:
            raise ValueError(f"{path} has {len(metrics.by_name)} metrics: its table was not understood")
        return metrics

    def find(self, name):
        """The metric that a series of this name belongs to, and the part of its histogram, or None."""
        metric = self.by_name.get(name)
        if metric is not None:
            return metric, ""
        for part in PARTS:
            metric = self.by_name.get(name.removesuffix(part))
            if name.endswith(part) and metric is not None and metric.kind == "histogram":
                return metric, part
        return None, ""


def _rows(text):
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|") or len(cells) < 3:
            continue
        kind = re.match(r"counter|gauge|histogram", cells[1].strip("`"))
        names = [name.strip(" `") for name in cells[0].split(",")]
        if kind and all(NAME.match(name) for name in names):
            for name in names:
                yield Metric(name, kind[0], _labels(cells[2]))


def _labels(cell):
    """`a`=X, Y; `b`=… as {a: {X, Y}, b: None}. A list that ends in … is open, and so is a label without values."""
    labels = {}
    for part in re.sub(r"\([^)]*\)", "", cell.replace("`", "")).split(";"):
        name, _, values = (text.strip() for text in part.partition("="))
        for one in (name.split(",") if not values else [name]):
            if NAME.match(one.strip()):
                labels[one.strip()] = _values(values)
    return labels


def _values(text):
    values = [value.strip().strip('"') for value in text.split(",")]
    values = [value for value in values if value]
    is_open = not values or any("…" in value or " " in value for value in values)
    return None if is_open else frozenset(values)
