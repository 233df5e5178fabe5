"""The pieces of a Grafana dashboard, as its JSON has them (schema of Grafana 11 and 12)."""

import json

# Of Grafana 11; later ones migrate it by themselves.
SCHEMA_VERSION = 39

# Grafana's grid.
WIDTH, HEIGHT = 24, 8

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Where the pages are reachable; each installation sets its own in the dashboard's variable.
RUNBOOKS = "https://git.example.com/curfew/docs/runbooks"


def query(expression, legend="", instant=False, heatmap=False):
    """One query of a panel."""
    target = {"datasource": DATASOURCE, "editorMode": "code", "expr": " ".join(expression.split()), "legendFormat": legend or "__auto"}
    target |= {"instant": True, "range": False} if instant else {"range": True}
    return target | ({"format": "heatmap"} if heatmap else {})


def series(title, description, unit, *queries, width=8, limit=None, stacked=False, runbook=None, maximum=None, logarithmic=False):
    """Lines over time. `limit` draws a line that should not be crossed; `stacked` fills areas that add up; `logarithmic` is
    for what is usually a thousandth of its limit."""
    custom = {
        "drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stacked else 8, "showPoints": "never", "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"}, "axisSoftMin": 0,
        "thresholdsStyle": {"mode": "dashed" if limit is not None else "off"},
    }
    defaults = {"unit": unit, "min": 0, "custom": custom, "color": {"mode": "palette-classic"}, "thresholds": steps((None, "green"), *([(limit, "red")] if limit is not None else []))}
    if maximum is not None:
        defaults["max"] = maximum
    if logarithmic:
        del defaults["min"], custom["axisSoftMin"]
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return _panel("timeseries", title, description, queries, width, defaults, options, runbook)


def stat(title, description, unit, expression, *thresholds, width=4, height=4, runbook=None, decimals=None):
    """One number, coloured by what it means. `thresholds` are (from, colour), rising; the first is where the colour begins."""
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": steps(*(thresholds or [(None, "text")])), "noValue": "nobody says"}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "textMode": "auto", "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return _panel("stat", title, description, [query(expression)], width, defaults, options, runbook) | {"height": height}


def heat(title, description, unit, expression, width=12):
    """How a histogram moves: darker is more."""
    options = {
        "calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Blues", "steps": 64, "reverse": False, "exponent": 0.5, "fill": "dark-blue"},
        "yAxis": {"axisPlacement": "left", "unit": unit}, "legend": {"show": True}, "tooltip": {"yHistogram": False, "show": True},
        "rowsFrame": {"layout": "auto"}, "filterValues": {"le": 1e-9}, "exemplars": {"color": "rgba(255,0,255,0.7)"}, "showValue": "never",
    }
    defaults = {"custom": {"hideFrom": {"legend": False, "tooltip": False, "viz": False}, "scaleDistribution": {"type": "linear"}}}
    return _panel("heatmap", title, description, [query(expression, "{{le}}", heatmap=True)], width, defaults, options, None)


def table(title, description, expression, width=24, height=HEIGHT):
    """The labels of what there is now."""
    panel = _panel("table", title, description, [query(expression, instant=True) | {"format": "table"}], width, {"custom": {"align": "auto"}}, {"showHeader": True, "cellHeight": "sm"}, None)
    hidden = {name: True for name in ("Time", "Value", "__name__", "job", "instance", "component")}
    panel["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": {}}}]
    return panel | {"height": height}


def steps(*thresholds):
    """Colours by value."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in thresholds]}


def _panel(kind, title, description, queries, width, defaults, options, runbook):
    if runbook:
        description = f"{description} Page: docs/runbooks/{runbook}.md."
    for place, target in enumerate(queries):
        target["refId"] = chr(ord("A") + place)
    panel = {"type": kind, "title": title, "description": description, "datasource": DATASOURCE, "width": width, "height": HEIGHT}
    panel |= {"targets": list(queries), "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options}
    if runbook:
        panel["links"] = [{"title": f"Runbook {runbook}", "url": f"${{runbooks}}/{runbook}.md", "targetBlank": True}]
    return panel


def dashboard(uid, title, description, rows):
    """The whole of one dashboard from rows of (title, panels)."""
    panels = []
    at = {"x": 0, "y": 0, "line": 0}

    def place(panel, width, height):
        if at["x"] + width > WIDTH:
            at.update(x=0, y=at["y"] + at["line"], line=0)
        panels.append({"id": len(panels) + 1, **panel, "gridPos": {"x": at["x"], "y": at["y"], "w": width, "h": height}})
        at.update(x=at["x"] + width, line=max(at["line"], height))

    for name, row in rows:
        at.update(x=0, y=at["y"] + at["line"], line=0)
        place({"type": "row", "title": name, "collapsed": False, "panels": []}, WIDTH, 1)
        for panel in row:
            place({key: value for key, value in panel.items() if key not in ("width", "height")}, panel["width"], panel["height"])
    return {
        "uid": uid, "title": title, "description": description, "tags": ["curfew"], "schemaVersion": SCHEMA_VERSION, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "browser", "fiscalYearStartMonth": 0,
        "liveNow": False, "annotations": {"list": [_firing()]}, "templating": {"list": _variables()}, "links": _links(), "panels": panels,
    }


def _variables():
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "regex": "", "hide": 0, "includeAll": False, "multi": False, "refresh": 1, "options": [], "current": {}},
        {"name": "runbooks", "label": "Runbooks at", "type": "textbox", "query": RUNBOOKS, "hide": 0, "options": [], "current": {"text": RUNBOOKS, "value": RUNBOOKS, "selected": True}},
    ]


def _firing():
    return {
        "name": "Alerts", "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Curfew.+",alertstate="firing"}', "titleFormat": "{{alertname}}", "textFormat": "{{severity}}", "tagKeys": "severity", "step": "60s",
    }


def _links():
    common = {"asDropdown": False, "icon": "external link", "tooltip": "", "targetBlank": False, "includeVars": True, "keepTime": True}
    return [
        common | {"type": "dashboards", "title": "Curfew", "tags": ["curfew"], "url": ""},
        common | {"type": "link", "title": "Runbooks", "tags": [], "url": "${runbooks}/README.md", "targetBlank": True, "includeVars": False, "keepTime": False},
    ]


def text(value):
    """As the file has it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
