#!/usr/bin/env python3
"""Draws the panels from what `check_dashboards.py --save FILE` kept, to be looked at where no Grafana is at hand.

    VENV/bin/pip install matplotlib
    VENV/bin/python tests/python/draw_dashboards.py FILE FOLDER

One picture for each dashboard, its panels where Grafana puts them.
"""

import json
import math
import pathlib
import re
import sys

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

# Grafana's grid, and how much of a picture one of its rows takes.
COLUMNS, ROW_INCHES, WIDTH_INCHES = 24, 0.42, 19

# With more lines, the legend hides the picture.
LEGEND_MAX = 16


def main(arguments):
    file, folder = (pathlib.Path(argument) for argument in arguments)
    dashboards = {}
    for answer in json.loads(file.read_text(encoding="utf-8")):
        dashboards.setdefault(answer["file"], {}).setdefault(answer["panel"]["id"], []).append(answer)
    for name, panels in dashboards.items():
        draw(list(panels.values()), folder / f"{name.removesuffix('.json')}.png")


def draw(panels, path):
    """All panels of a dashboard."""
    rows = 1 + max(at["y"] + at["h"] for at in (answers[0]["panel"]["gridPos"] for answers in panels))
    figure = pyplot.figure(figsize=(WIDTH_INCHES, rows * ROW_INCHES))
    figure.suptitle(panels[0][0]["dashboard"])
    for answers in panels:
        panel = answers[0]["panel"]
        at, defaults = panel["gridPos"], panel["fieldConfig"]["defaults"]
        height = at["h"] / rows
        axes = figure.add_axes([at["x"] / COLUMNS + 0.025, 1 - (at["y"] + 0.9) / rows - 0.75 * height, at["w"] / COLUMNS - 0.035, 0.6 * height])
        axes.set_title(f"{panel['title']} [{defaults.get('unit', '')}]", fontsize=8)
        axes.tick_params(labelsize=6)
        {"stat": stat, "table": table, "heatmap": heatmap}.get(panel["type"], lines)(axes, answers, defaults)
    figure.savefig(path, dpi=75)
    pyplot.close(figure)


def stat(axes, answers, _):
    """The last value."""
    axes.text(0.5, 0.5, answers[0]["result"][0][1][-1][1][:8], ha="center", fontsize=18)
    axes.set(xticks=[], yticks=[])


def table(axes, answers, _):
    """The labels."""
    axes.axis("off")
    axes.text(0, 0.9, "\n".join(str(labels) for labels, _ in answers[0]["result"]), fontsize=7, va="top")


def heatmap(axes, answers, _):
    """How many in each bucket."""
    buckets = sorted(answers[0]["result"], key=lambda one: float(one[0]["le"].replace("+Inf", "inf")))
    counts = [[float(value) for _, value in values] for _, values in buckets]
    own = [counts[0], *([max(0, more - less) for more, less in zip(row, below, strict=True)] for below, row in zip(counts, counts[1:], strict=False))]
    axes.imshow(own, aspect="auto", origin="lower", cmap="Blues")
    axes.set_yticks(range(len(buckets)), [labels["le"] for labels, _ in buckets])


def lines(axes, answers, defaults):
    """Lines, or areas that add up."""
    found = [(name(labels, answer["target"]), values) for answer in answers for labels, values in answer["result"]]
    found = [(title, {at: float(value) for at, value in values if math.isfinite(float(value))}) for title, values in found]
    found = [(title, values) for title, values in found if values]
    if defaults["custom"]["stacking"]["mode"] == "normal":
        times = sorted({at for _, values in found for at in values})
        axes.stackplot(times, *([values.get(at, 0) for at in times] for _, values in found), labels=[title for title, _ in found], alpha=0.6)
    else:
        for title, values in found:
            axes.plot(list(values), list(values.values()), label=title, lw=1)
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is not None:
            axes.axhline(step["value"], color="red", ls="--", lw=0.7)
    if "scaleDistribution" in defaults["custom"]:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xticks([])
    if len(found) <= LEGEND_MAX:
        axes.legend(fontsize=5, loc="upper center", bbox_to_anchor=(0.5, -0.03), ncol=3)


def name(labels, target):
    """What the legend calls a series."""
    if target["legendFormat"] == "__auto":
        return ", ".join(f"{label}={value}" for label, value in labels.items() if label != "__name__") or "-"
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), target["legendFormat"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
