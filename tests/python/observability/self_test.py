"""The judges find what is planted."""

import pathlib
import shutil
import tempfile
import unittest

from . import dashboards, local, promtool
from .metrics import Metric, Metrics
from .promql import Judge
from .rules import Tree


class Expressions(unittest.TestCase):
    """Wrong expressions, each in one way."""

    def setUp(self):
        labels = {"result": frozenset({"ok", "denied"}), "method": None}
        metrics = [Metric("curfew_writes_total", "counter", labels), Metric("curfew_wait_seconds", "histogram", {}), Metric("curfew_age_seconds", "gauge", {}), Metric("workqueue_depth", "gauge", {})]
        self.judge = Judge(Metrics(metrics), ["curfew:late:ratio"])

    def test_right_ones_pass(self):
        for right in (
            'sum by (result) (rate(curfew_writes_total{result=~"o.|denied"}[5m])) > 1',
            "histogram_quantile(0.9, sum by (le) (rate(curfew_wait_seconds_bucket[5m])))",
            'max(curfew_age_seconds) or absent(workqueue_depth{job="curfew"})',
            "curfew:late:ratio > 0.1",
            'sum by (instance) (curfew_writes_total{method="$method",instance="a"})',
        ):
            self.assertEqual(self.judge.problems(right), [], right)

    def test_wrong_ones_are_found(self):
        for wrong, why in (
            ("sum(rate(curfew_writes[5m]))", "no metric"),
            ("curfew_age_seconds_count", "no metric"),
            ("rate(curfew_wait_seconds[5m])", "name its _bucket"),
            ('curfew_writes_total{outcome="ok"}', "no label outcome"),
            ('curfew_writes_total{result="refused"}', "is never"),
            ('curfew_writes_total{result=~"refused|lost"}', "is never"),
            ("rate(curfew_age_seconds[5m])", "which is a gauge"),
            ("deriv(curfew_writes_total[5m])", "only rises"),
            ("sum by (le) (rate(curfew_writes_total[5m]))", "nothing in it has"),
            ("sum by (reason) (curfew_age_seconds)", "nothing in it has"),
            ("max(workqueue_depth) > 1", "everybody's name"),
            ('max(workqueue_depth{job="apiserver"})', "everybody's name"),
            ('curfew:late:ratio{instance="a"}', "without labels"),
            ("sum(rate(curfew_writes_total[5m])", "cannot be parsed"),
        ):
            found = self.judge.problems(wrong)
            self.assertTrue(any(why in problem for problem in found), f"{wrong}: {found}")


class Tables(unittest.TestCase):
    """A table that was not understood is no table."""

    def test_an_empty_table_is_an_error(self):
        with tempfile.NamedTemporaryFile("w", suffix=".md") as file, self.assertRaises(ValueError):
            Metrics.read(pathlib.Path(file.name))

    def test_a_metric_that_stands_twice_is_an_error(self):
        with self.assertRaises(ValueError):
            Metrics([Metric("a", "gauge", {}), Metric("a", "gauge", {})])


class Planted(unittest.TestCase):
    """The tree, spoilt in one place."""

    root = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.copy = pathlib.Path(folder.name)
        for name in ("deploy/prometheus", "deploy/grafana", "deploy/local", "docs/runbooks"):
            if (self.root / name).is_dir():
                shutil.copytree(self.root / name, self.copy / name)

    def finds(self, why):
        tree = Tree(self.copy)
        found = [*tree.problems(), *tree.missing_pages()]
        self.assertTrue(any(why in problem for problem in found), f"{why}: {found}")

    def spoil(self, name, old, new):
        path = self.copy / name
        text = path.read_text(encoding="utf-8")
        self.assertIn(old, text)
        path.write_text(text.replace(old, new), encoding="utf-8")

    def keep_tests(self, name):
        for path in (self.copy / "deploy/prometheus/tests").glob("*.yml"):
            if path.stem != name:
                path.unlink()

    def test_an_alert_without_tests(self):
        rule = "      - alert: CurfewNew\n        expr: vector(1)\n        labels: {severity: page}\n        annotations: {summary: a, description: b, runbook_url: c}\n"
        self.spoil("deploy/prometheus/rules/alerts.yml", "      - alert: CurfewClockSkew\n", rule + "      - alert: CurfewClockSkew\n")
        for why in ("CurfewNew: no test in which it fires", "CurfewNew: no test in which it is silent", "CurfewNew: its page is c", "CurfewNew"):
            self.finds(why)

    def test_a_severity_that_nobody_routes(self):
        self.spoil("deploy/prometheus/rules/alerts.yml", "{severity: ticket}", "{severity: info}")
        self.finds("severity 'info'")

    def test_a_label_that_the_alert_has_not(self):
        self.spoil("deploy/prometheus/rules/alerts.yml", "$labels.kind", "$labels.reason")
        self.finds("it speaks of the label reason")

    def test_a_line_of_the_log_that_nobody_writes(self):
        self.assertNotEqual(list(Tree(self.copy).unheard("")), [])
        self.assertTrue(all("nothing logs" in problem for problem in Tree(self.copy).unheard("")))

    def test_a_page_that_is_gone(self):
        (self.copy / "docs/runbooks/CurfewClockSkew.md").unlink()
        self.finds("CurfewClockSkew")

    def test_a_page_of_no_alert(self):
        (self.copy / "docs/runbooks/CurfewNobody.md").write_text("# CurfewNobody\n", encoding="utf-8")
        for why in ("belongs to no alert", "says nothing", "has no '## Look first'", "is not in docs/runbooks/README.md"):
            self.finds(why)

    def test_a_local_setting_that_leads_nowhere(self):
        self.assertEqual(list(local.problems(self.copy)), [])
        for old, new, why in (
            ("network_mode: host", "netwrk_mode: host", "does not start with"),
            ("prom/prometheus:v3.9.1", "prom/prometheus:latest", "is not pinned"),
            ("../prometheus/rules:", "../prometheus/rule:", "there is no ../prometheus/rule"),
            ("listen-address=127.0.0.1:9090", "listen-address=0.0.0.0:9090", "loopback alone"),
            ("listen-address=127.0.0.1:9090", "listen-address=127.0.0.1:9091", "is not where Prometheus listens"),
            (":/var/lib/grafana/dashboards:ro", ":/dashboards:ro", "no dashboards are mounted"),
            ("/grants.json", "/grant.json", "the first page"),
        ):
            self.spoil("deploy/local/compose.yaml", old, new)
            found = list(local.problems(self.copy))
            self.assertTrue(any(why in problem for problem in found), f"{why}: {found}")
            self.spoil("deploy/local/compose.yaml", new, old)

    def test_a_recorded_series_that_nobody_reads(self):
        self.spoil("deploy/prometheus/rules/recording.yml", "curfew:grants_late:ratio_rate3d", "curfew:grants_late:ratio_rate4d")
        self.finds("a recorded series that nobody reads")

    def test_a_rule_with_another_threshold_fails_its_test(self):
        self.keep_tests("policies")
        self.spoil("deploy/prometheus/rules/alerts.yml", "curfew_policy_headroom_ratio) < 0.1", "curfew_policy_headroom_ratio) < 0.3")
        found = list(promtool.problems(self.copy / "deploy/prometheus"))
        self.assertTrue(any("CurfewPolicyAlmostFull" in problem for problem in found), found)

    def test_a_rule_that_cannot_be_parsed(self):
        self.keep_tests("security")
        self.spoil("deploy/prometheus/rules/alerts.yml", "max(curfew_unauthorised_bindings) > 0", "max(curfew_unauthorised_bindings > 0")
        self.assertTrue(any("check config" in problem for problem in promtool.problems(self.copy / "deploy/prometheus")))


class Pictures(unittest.TestCase):
    """Dashboards, spoilt in one place."""

    @staticmethod
    def panel(**changes):
        source = {"type": "prometheus", "uid": "${datasource}"}
        panel = {"id": 1, "type": "stat", "title": "A", "description": "b", "datasource": source, "gridPos": {"x": 0, "y": 0, "w": 4, "h": 4}}
        panel |= {"targets": [{"datasource": source, "expr": "up", "refId": "A"}], "fieldConfig": {"defaults": {"unit": "s"}, "overrides": []}}
        return panel | changes

    def test_a_panel_that_lacks_something(self):
        self.assertEqual(list(dashboards.of_panel(self.panel(), {})), [])
        link = [{"title": "x", "url": "${runbooks}/CurfewNobody.md"}]
        for changes, why in (({"description": ""}, "no description"), ({"targets": []}, "no query"), ({"fieldConfig": {"defaults": {}}}, "no unit"), ({"datasource": {"uid": "mine"}}, "another data source"), ({"links": link}, "is no page")):
            found = list(dashboards.of_panel(self.panel(**changes), {}))
            self.assertTrue(any(why in problem for problem in found), f"{why}: {found}")

    def test_a_layout_that_overlaps(self):
        templating = {"list": [{"name": "datasource"}, {"name": "runbooks"}]}
        wide = self.panel(id=2, title="B", gridPos={"x": 22, "y": 9, "w": 4, "h": 4})
        for panels, why in (([self.panel(), self.panel(id=2, title="B")], "B lies on A"), ([self.panel(), self.panel(id=2)], "two panels are called A"), ([self.panel(), wide], "beyond the grid"), ([self.panel(), self.panel(gridPos={"x": 9, "y": 0, "w": 4, "h": 4})], "one number")):
            found = list(dashboards.of_layout({"panels": panels, "templating": templating}))
            self.assertTrue(any(why in problem for problem in found), f"{why}: {found}")

    def test_a_field_that_grafana_does_not_have(self):
        dashboard = {"uid": "a", "title": "A", "schemaVersion": 39, "tags": ["curfew"], "panels": [self.panel()], "colour": "red"}
        dashboard["panels"][0]["options"] = {"graphMode": "area", "graphMood": "glad"}
        found = list(dashboards.unknown_to_grafana(dashboard))
        for why in ("Grafana has no colour", "Grafana has no panels.options.graphMood"):
            self.assertIn(why, found)
        self.assertFalse(any("graphMode" in problem for problem in found), found)
