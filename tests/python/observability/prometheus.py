"""A real Prometheus with a folder of its own, that scrapes every second."""

import pathlib
import subprocess
import tempfile
import urllib.parse

import yaml

from .demo import Started, ask, free_ports


class Prometheus(Started):
    """Scrapes `targets` (component → address) and evaluates deploy/prometheus's rules.

    Windows stay as they are. An alert's `for` is shortened to `patience`: how long alerts wait is what promtool's tests are
    about.
    """

    name = "Prometheus"

    def __init__(self, rules, targets, patience):
        self.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        names = [self._rules(folder, path, patience) for path in rules]
        scrape = {"job_name": "curfew", "static_configs": [{"targets": [target], "labels": {"component": component}} for component, target in targets.items()]}
        settings = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}, "rule_files": names, "scrape_configs": [scrape]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.port = free_ports(1)[0]
        self.log = (folder / "prometheus.log").open("w", encoding="utf-8")
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=self.log, stderr=self.log)

    @staticmethod
    def _rules(folder, path, patience):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in document["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = patience
        (folder / path.name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return path.name

    def is_ready(self):
        return ask("GET", f"http://127.0.0.1:{self.port}/-/ready")[0] == 200

    def api(self, path, **arguments):
        """What an endpoint of /api/v1 answers; an error of Prometheus is a ValueError."""
        status, answer = ask("GET", f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}")
        if status != 200:
            raise ValueError(f"{status}: {(answer or {}).get('error', answer)}")
        return answer["data"]

    def now(self, expression):
        """What an expression is now: pairs of labels and value."""
        data = self.api("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, data["result"][1])]
        return [(one["metric"], one["value"][1]) for one in data["result"]]

    def lately(self, expression, start, end, step=1):
        """What an expression was: pairs of labels and the values of its steps."""
        data = self.api("query_range", query=expression, start=start, end=end, step=step)
        return [(one["metric"], [(float(at), value) for at, value in one["values"]]) for one in data["result"]]

    def rules(self):
        """Every rule as Prometheus has it, with its health."""
        return [rule for group in self.api("rules")["groups"] for rule in group["rules"]]

    def firing(self):
        """The alerts that fire, by name."""
        return {alert["labels"]["alertname"]: alert for alert in self.api("alerts")["alerts"] if alert["state"] == "firing"}
