"""deploy/grafana: whether its files are what its generator writes, and whether Grafana would understand them."""

import json
import runpy
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# What Grafana puts in, and what stands for it where an expression is only read.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}

# Settings of an annotation that belong to the data source and not to Grafana's own schema.
OF_PROMETHEUS = {"step", "tagKeys", "textFormat", "titleFormat"}

WIDTH = 24

# Panels that show no number, and so have no unit.
WITHOUT_UNIT = {"row", "table", "heatmap"}


def read(root):
    """Each dashboard by the name of its file."""
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "deploy/grafana/dashboards").glob("*.json"))}


def expressions(root):
    """Every query of every panel, with where it stands."""
    for file, dashboard in read(root).items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                yield f"{file}: {panel['title']}", put_in(target["expr"], VARIABLES)


def put_in(expression, values):
    """The expression with Grafana's variables replaced."""
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def problems(root, pages):
    """Everything wrong with the files, but for their expressions."""
    yield from stale(root)
    found = read(root)
    uids = [dashboard["uid"] for dashboard in found.values()]
    yield from (f"deploy/grafana: two dashboards are called {uid}" for uid in sorted({uid for uid in uids if uids.count(uid) > 1}))
    for file, dashboard in found.items():
        yield from (f"{file}: {problem}" for problem in [*unknown_to_grafana(dashboard), *of_layout(dashboard)])
        for panel in dashboard["panels"]:
            yield from (f"{file}: {panel['title']}: {problem}" for problem in of_panel(panel, pages))


def stale(root):
    """Files that are not what the generator writes."""
    folder = root / "deploy/grafana"
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        written = runpy.run_path(str(folder / "generate.py"))["files"]()
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = before
    there = {path.name: path.read_text(encoding="utf-8") for path in (folder / "dashboards").glob("*.json")}
    for name in sorted(written.keys() | there.keys()):
        if written.get(name) != there.get(name):
            yield f"deploy/grafana/dashboards/{name} is not what deploy/grafana/generate.py writes"


def unknown_to_grafana(dashboard):
    """What is lost when Grafana's own types read the dashboard: fields that it does not have."""
    register_default_plugins()
    back = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    yield from sorted(set(_lost(dashboard, back, ())))


def _lost(given, back, path):
    if isinstance(given, dict) and isinstance(back, dict):
        for key, value in given.items():
            if key in back:
                yield from _lost(value, back[key], (*path, key))
            elif not (path[:2] == ("annotations", "list") and key in OF_PROMETHEUS):
                yield f"Grafana has no {'.'.join((*path, key))}"
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for one, other in zip(given, back, strict=True):
            yield from _lost(one, other, path)
    elif given != back:
        yield f"Grafana reads {'.'.join(path)} as {back!r}, not {given!r}"


def of_layout(dashboard):
    """Panels that lie on each other or beside the grid, and numbers and titles used twice."""
    taken = {}
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        if at["x"] + at["w"] > WIDTH:
            yield f"{panel['title']} reaches beyond the grid"
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if cell in taken:
                yield f"{panel['title']} lies on {taken[cell]}"
                break
            taken[cell] = panel["title"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        yield "two panels have one number"
    titles = [panel["title"] for panel in dashboard["panels"]]
    yield from (f"two panels are called {title}" for title in sorted({title for title in titles if titles.count(title) > 1}))
    if not {"datasource", "runbooks"} <= {variable["name"] for variable in dashboard["templating"]["list"]}:
        yield "no variable for the data source or for the runbooks"


def of_panel(panel, pages):
    """What a panel lacks."""
    if panel["type"] == "row":
        return
    if not panel.get("description"):
        yield "no description"
    if not panel["targets"]:
        yield "no query"
    for place in (panel, *panel["targets"]):
        if place["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
            yield "reads another data source than the variable says"
    if panel["type"] not in WITHOUT_UNIT and not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    for link in panel.get("links", []):
        if link["url"].removeprefix("${runbooks}/").removesuffix(".md") not in pages:
            yield f"links to {link['url']}, which is no page"
