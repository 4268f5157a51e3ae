"""The figure of README.md, of a finished default run: what the tool does, in one row.

Run: python docs/figures/hero.py RUN

Shapes, names and numbers only. Writes docs/assets/hero.svg, hero-dark.svg and both as .png.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from devise_exp.runs.folder import RunFolder

ASSETS = Path(__file__).resolve().parents[2] / "docs" / "assets"
QUERY = "helicopter"
LABELLED = 9  # unseen classes with their names in the plane
THEMES = {
    "hero": {"ink": "#1f2328", "faint": "#afb8c1", "panel": "#f6f8fa", "scale": "viridis"},
    "hero-dark": {"ink": "#e6edf3", "faint": "#57606a", "panel": "#161b22", "scale": "plasma"},
}


def ranking(run: RunFolder) -> list[tuple[str, bool, float]]:
    """The five labels that images of QUERY are given most often as first answer, calibrated.

    Returns:
        Name, whether it is unseen, and the share of the images.
    """
    names, output = [record.name for record in run.classes()], run.embedded("devise")
    seen, unseen = run.class_ids()
    images = output.unseen.vectors[output.unseen.class_ids == names.index(QUERY)]
    scores = images @ output.class_vectors.T
    scores[:, seen] -= output.gamma or 0.0
    counts = np.bincount(scores.argmax(axis=1), minlength=len(names))
    best = np.argsort(-counts, kind="stable")[:5]
    return [(names[c], c in set(unseen.tolist()), counts[c] / len(images)) for c in best]


def draw(run: Path, theme: dict[str, str], path: Path) -> None:
    """Draw the figure in the colours of a theme."""
    diagnostics = json.loads((run / "diagnostics.json").read_text(encoding="utf-8"))
    ink, faint = theme["ink"], theme["faint"]
    plt.rcParams.update(
        {
            "text.color": ink, "font.size": 10, "svg.hashsalt": "hero",
            "font.family": "DejaVu Sans", "svg.fonttype": "path",
        }
    )  # fmt: skip
    figure = plt.figure(figsize=(12, 3.9))
    figure.patch.set_alpha(0)
    _pipeline(figure.add_axes((0.0, 0.0, 0.36, 1.0)), theme)
    plane = figure.add_axes((0.36, 0.09, 0.34, 0.8))
    points = _plane(plane, diagnostics, theme)
    bar = figure.add_axes((0.71, 0.09, 0.008, 0.5))
    colours = figure.colorbar(points, cax=bar)
    colours.set_label("images named right, %", size=8, color=ink)
    colours.ax.tick_params(labelsize=7, colors=ink)
    colours.outline.set_edgecolor(faint)
    _ranking(figure.add_axes((0.865, 0.2, 0.115, 0.58)), ranking(RunFolder(run)), theme)
    figure.text(
        0.36, 0.025, "● seen classes (grey), unseen classes (coloured), among all labels", size=8
    )
    figure.text(0.36, 0.93, "the plane of word vectors", size=11, weight="bold")
    figure.text(0.79, 0.93, f"{QUERY}: never in training", size=11, weight="bold")
    for ending in ("svg", "png"):
        metadata = {"Date": None} if ending == "svg" else None
        figure.savefig(path.with_suffix(f".{ending}"), dpi=110, metadata=metadata)
    plt.close(figure)


def _pipeline(axes: Axes, theme: dict[str, str]) -> None:
    """Image, backbone, features, projection: drawn shapes."""
    axes.set(xlim=(0, 10), ylim=(0, 10), aspect="auto")
    axes.axis("off")
    ink = theme["ink"]
    axes.add_patch(Rectangle((0.4, 3.6), 2.0, 3.4, fill=False, ec=ink, lw=1.5))
    axes.add_patch(Polygon([(0.5, 3.7), (1.2, 5.2), (1.9, 3.7)], color=theme["faint"]))
    axes.add_patch(Polygon([(1.3, 3.7), (1.85, 4.8), (2.3, 3.7)], color=theme["faint"], alpha=0.6))
    axes.add_patch(Circle((1.9, 6.2), 0.28, color="#d29922"))
    for x, text in ((3.1, "pretrained\nbackbone"), (7.1, "learned\nprojection")):
        box = FancyBboxPatch(
            (x, 4.3), 2.1, 2.0, boxstyle="round,pad=0.1", fc=theme["panel"], ec=ink, lw=1.2
        )
        axes.add_patch(box)
        axes.text(x + 1.05, 5.3, text, ha="center", va="center", size=9)
    heights = (1.9, 1.1, 2.5, 0.7, 1.6)
    for i, height in enumerate(heights):
        low = 5.3 - height / 2
        axes.add_patch(Rectangle((5.75 + 0.17 * i, low), 0.11, height, color="#1f6feb"))
    for start, end in ((2.45, 2.95), (5.35, 5.65), (6.65, 6.95), (9.35, 9.95)):
        arrow = FancyArrowPatch((start, 5.3), (end, 5.3), arrowstyle="-|>", mutation_scale=11)
        arrow.set_color(ink)
        axes.add_patch(arrow)
    for x, text in ((1.4, "image"), (6.15, "features")):
        axes.text(x, 2.9, text, ha="center", size=9)


def _plane(axes: Axes, diagnostics: dict[str, Any], theme: dict[str, str]) -> Any:
    """Seen classes in grey; unseen ones by how often they are named right among all labels."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.patch.set_alpha(0)
    for side in axes.spines.values():
        side.set_edgecolor(theme["faint"])
    classes = diagnostics["map"]["classes"]
    right = {row["name"]: row["calibrated_hit@1"] for row in diagnostics["classes"]}
    seen = np.array([c["word"] for c in classes if c["seen"]])
    unseen = [c for c in classes if not c["seen"]]
    words = np.array([c["word"] for c in unseen])
    axes.scatter(*seen.T, s=14, color=theme["faint"], label="seen classes")
    shares = [100 * right[c["name"]] for c in unseen]
    points = axes.scatter(
        *words.T, c=shares, s=52, cmap=theme["scale"], vmin=0, vmax=100, edgecolors=theme["ink"]
    )
    for name, (x, y) in _apart([(c["name"], c["word"]) for c in unseen]):
        axes.annotate(
            name.replace("_", " "), (x, y), xytext=(5, 4), textcoords="offset points", size=8
        )
    axes.margins(0.09)
    return points


def _apart(places: Sequence[tuple[str, list[float]]]) -> list[tuple[str, list[float]]]:
    """Names whose points lie far from those chosen before, QUERY first."""
    chosen = [place for place in places if place[0] == QUERY]
    for place in places:
        gaps = [np.abs(np.subtract(place[1], other[1])) for other in chosen]
        if len(chosen) < LABELLED and all(g[0] > 0.16 or g[1] > 0.05 for g in gaps):
            chosen.append(place)
    return chosen


def _ranking(axes: Axes, rows: Sequence[tuple[str, bool, float]], theme: dict[str, str]) -> None:
    """What the images of QUERY are called."""
    axes.axis("off")
    axes.set(xlim=(0, 100), ylim=(4.6, -0.6))
    for i, (name, is_unseen, share) in enumerate(rows):
        colour = "#2da44e" if name == QUERY else ("#1f6feb" if is_unseen else theme["faint"])
        axes.barh(i, 100 * share, height=0.62, color=colour)
        axes.text(-4, i, name.replace("_", " "), ha="right", va="center", size=9)
        axes.text(100 * share + 3, i, f"{100 * share:.0f} %", va="center", size=8)
    axes.text(0, 5.0, "first answers among all labels", size=8, va="top", ha="center")


if __name__ == "__main__":
    for name, theme in THEMES.items():
        draw(Path(sys.argv[1]), theme, ASSETS / name)
