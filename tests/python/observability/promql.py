"""Expressions held against the table of metrics: names, labels, values, and what may be done with a type."""

import re

import promql_parser as promql

from .metrics import TARGET_LABELS

# Functions that make sense of what only rises.
OF_COUNTERS = {"rate", "irate", "increase"}

# Functions that make nonsense of what only rises.
OF_GAUGES = {"delta", "deriv", "predict_linear"}

# What stands for Curfew where a metric's name is everybody's.
OWN_PREFIXES = ("curfew_", "firelite_")
JOB = "curfew"


class Judge:
    """Judges expressions by a table of metrics and the names of recorded series."""

    def __init__(self, metrics, recorded):
        self.metrics, self.recorded = metrics, set(recorded)

    def problems(self, text):
        """Everything wrong with one expression."""
        try:
            expression = promql.parse(text)
        except ValueError as error:
            return [f"cannot be parsed: {error}"]
        return sorted({problem for node in nodes(expression) for problem in self._of_node(node)})

    def _of_node(self, node):
        if isinstance(node, promql.VectorSelector):
            yield from self._of_selector(node)
        elif isinstance(node, promql.Call):
            yield from self._of_call(node)
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            yield from self._of_grouping(node)

    def _of_selector(self, selector):
        name = selector.name
        matchers = {matcher.name: matcher for matcher in selector.matchers.matchers}
        if name in self.recorded:
            if matchers:
                yield f"{name} is recorded without labels; Cloud Monitoring could not select by {', '.join(sorted(matchers))}"
            return
        metric, part = self.metrics.find(name or "")
        if metric is None:
            yield f"{name} is no metric of docs/metrics.md"
            return
        if metric.kind == "histogram" and not part:
            yield f"{name} is a histogram: name its _bucket, _count or _sum"
        if not name.startswith(OWN_PREFIXES) and not name.isupper() and not selects_job(matchers.get("job")):
            yield f'{name} is everybody\'s name: select job="{JOB}"'
        for label, matcher in matchers.items():
            yield from self._of_matcher(metric, part, label, matcher)

    @staticmethod
    def _of_matcher(metric, part, label, matcher):
        if label in TARGET_LABELS or (label == "le" and part == "_bucket"):
            return
        if label not in metric.labels:
            yield f"{metric.name} has no label {label}"
            return
        values = metric.labels[label]
        if values is not None and not is_variable(matcher.value) and not any(matches(matcher, value) for value in values):
            yield f'{label} of {metric.name} is never "{matcher.value}"'

    def _of_call(self, call):
        function = call.func.name
        for selector in (node for argument in call.args for node in nodes(argument) if isinstance(node, promql.VectorSelector)):
            metric, part = self.metrics.find(selector.name or "")
            rises = metric is not None and (metric.kind == "counter" or part)
            if metric is not None and function in OF_COUNTERS and not rises:
                yield f"{function} of {selector.name}, which is a {metric.kind}"
            if metric is not None and function in OF_GAUGES and rises:
                yield f"{function} of {selector.name}, which only rises"

    def _of_grouping(self, aggregate):
        if aggregate.modifier.type != promql.AggModifierType.By:
            return
        known = set(TARGET_LABELS)
        for selector in (node for node in nodes(aggregate.expr) if isinstance(node, promql.VectorSelector)):
            metric, part = self.metrics.find(selector.name or "")
            known |= set(metric.labels if metric else ()) | ({"le"} if part == "_bucket" else set())
        for label in aggregate.modifier.labels:
            if label not in known:
                yield f"sums by {label}, which nothing in it has"


def nodes(expression):
    """The expression and all below it."""
    found = []
    promql.walk(expression, lambda node: found.append(node) or True)
    return found


def names(text):
    """The series that an expression names."""
    return {node.name for node in nodes(promql.parse(text)) if isinstance(node, promql.VectorSelector)}


def selects_job(matcher):
    """Whether a matcher of the label `job` leaves Curfew alone."""
    return matcher is not None and (matcher.value == JOB or is_variable(matcher.value))


def is_variable(value):
    """Whether Grafana puts a value in."""
    return value.startswith("$")


def matches(matcher, value):
    """Whether a series whose label has this value is selected by it, as far as the operator selects by presence."""
    if matcher.op == promql.MatchOp.Equal:
        return value == matcher.value
    if matcher.op == promql.MatchOp.Re:
        return re.fullmatch(matcher.value, value) is not None
    return True
