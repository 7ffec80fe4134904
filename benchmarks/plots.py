"""The two plots, drawn from results.json in an environment that has matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

PLOTS = {"error.svg": "error against time", "background.svg": "time against background size"}
FLOOR = 1e-6  # where exact values are drawn: a logarithm has no zero
SHOWN = 100  # background rows of the first plot
COLOURS = {
    "shapserve": "#d62728", "shap kernel": "#1f77b4", "shap tree": "#2ca02c",
    "shap permutation": "#9467bd", "shap linear": "#8c564b", "shapiq": "#ff7f0e",
    "alibi": "#7f7f7f",
}  # fmt: skip
mpl.rcParams |= {"svg.hashsalt": "shapserve", "font.size": 8}  # the same file for the same figures


def main(results, directory):
    """Draw both, each a panel for a workload."""
    cells = json.loads(Path(results).read_text(encoding="utf-8"))["grid"]["cells"]
    cells = [cell for cell in cells if not cell["summary"]]
    for file, draw in zip(PLOTS, (_error, _background), strict=True):
        names = list(dict.fromkeys(cell["workload"] for cell in cells))
        figure, axes = plt.subplots(-(-len(names) // 3), 3, figsize=(12, 2.6 * -(-len(names) // 3)))
        for axis, name in zip(axes.flat, names, strict=False):
            draw(axis, [cell for cell in cells if cell["workload"] == name])
            axis.set(title=name, xscale="log", yscale="log")
            axis.grid(visible=True, alpha=0.3)
        for axis in axes.flat[len(names) :]:
            axis.remove()
        handles = [Line2D([], [], color=c, marker="o", label=n) for n, c in COLOURS.items()]
        figure.legend(handles=handles, loc="upper center", ncols=len(handles))
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / figure.get_figheight()))
        figure.savefig(Path(directory, file), metadata={"Date": None})
        plt.close(figure)


def _error(axis, cells):
    """Designs of growing size, at the background nearest to the one that is shown."""
    if sizes := [cell["n_background"] for cell in cells if cell["points"]]:
        shown = min(sizes, key=lambda n: abs(n - SHOWN))
        for cell in [c for c in cells if c["n_background"] == shown and c["points"]]:
            points = sorted(cell["points"])
            x, y = [p[1] for p in points], [max(p[2], FLOOR) for p in points]
            axis.plot(x, y, marker="o", markersize=3, color=COLOURS[cell["contender"]])
        axis.set_xlabel(f"ms per row, {shown} background rows")
    axis.axhline(0.01, color="black", linewidth=0.5, linestyle="--")
    axis.set_ylabel("relative RMS error")


def _background(axis, cells):
    for contender, colour in COLOURS.items():
        own = [c for c in cells if c["contender"] == contender]
        x, y = [c["n_background"] for c in own], [c["times"]["1"]["ms"] for c in own]
        axis.plot(x, y, marker="o", markersize=3, color=colour)
    axis.set(xlabel="background rows", ylabel="ms, one row")


if __name__ == "__main__":
    main(*sys.argv[1:])
