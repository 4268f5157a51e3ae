"""The words and the images of all classes in one plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from devise_exp.reports.figures import style
from devise_exp.reports.figures.style import COLOURS, FAINT, INK, Plot, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Box = tuple[float, float, float, float]  # left, bottom, right, top, in points
_SIDES = ((4, 2, "left"), (-4, 2, "right"), (4, -2, "left"), (-4, -2, "right"))


def class_plot(plane: Mapping[str, Any]) -> Plot:
    """Words and image means of all classes in the plane of the first two principal components.

    Args:
        plane: The entry "map" of diagnostics.json.

    Returns:
        The plot "map".
    """
    tooltips: dict[str, list[str]] = {}
    with style.new_figure(5.6) as figure:
        axes = figure.subplots()
        axes.set_aspect("equal", adjustable="datalim")
        for i, side in enumerate(("seen", "unseen")):
            entries = [entry for entry in plane["classes"] if entry["seen"] == (side == "seen")]
            for entry in entries:
                if entry["images"]:
                    ends = zip(entry["word"], entry["images"], strict=True)
                    strength = 0.75 if side == "unseen" else 0.3
                    axes.plot(*ends, color=COLOURS[i], linewidth=0.8, alpha=strength, zorder=1)
            tooltips |= _draw_marks(axes, entries, side, COLOURS[i])
        style.label_axes(axes, "", "first principal component", "second principal component")
        legend_below(figure, [axes], columns=4)
        _name_points(
            figure,
            axes,
            {e["name"]: (e["word"][0], e["word"][1]) for e in plane["classes"] if not e["seen"]},
            [point for e in plane["classes"] for point in (e["word"], e["images"]) if point],
        )
    text = (
        "Each line joins the words of a class and the mean of its test images. Unseen classes are "
        f"named. The plane keeps {100 * plane['explained']:.0f} % of the squared distances from "
        "the centre"
    )
    return Plot(
        name="map", title="Classes in the plane", text=text, figure=figure, tooltips=tooltips
    )


def _draw_marks(
    axes: Axes, entries: Sequence[Mapping[str, Any]], side: str, colour: str
) -> dict[str, list[str]]:
    """Discs at the words, crosses at the means of images."""
    tooltips = {}
    for kind, noun in (("word", "word"), ("images", "mean of images")):
        marked = [entry for entry in entries if entry[kind]]
        if marked:
            disc, gid = kind == "word", f"map-{kind}-{side}"
            xs, ys = zip(*(entry[kind] for entry in marked), strict=True)
            axes.scatter(
                xs, ys, s=24 if disc else 20, c=colour, marker="o" if disc else "x", gid=gid,
                linewidths=0 if disc else 1.1, label=f"{side}: {noun}", zorder=3 if disc else 2,
            )  # fmt: skip
            tooltips[gid] = [f"{entry['name']} ({side}): {noun}" for entry in marked]
    return tooltips


def _name_points(
    figure: Figure,
    axes: Axes,
    points: Mapping[str, tuple[float, float]],
    marks: Sequence[Sequence[float]],
) -> None:
    """Write a name beside each point, where it covers the fewest names before it, and marks.

    The nearest free place is taken; a line leads to a name that is not beside its point.
    """
    figure.draw_without_rendering()  # so that the layout is known
    frame = [end * 72 / figure.dpi for end in axes.get_window_extent().extents]  # in points
    taken: list[_Box] = []
    at = axes.transData.transform(np.array(marks)) * 72 / figure.dpi
    discs = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
    for name, point in sorted(points.items(), key=lambda item: item[1]):
        x, y = axes.transData.transform(point) * 72 / figure.dpi
        width, height = 4.4 * len(name), 9
        places = [
            (r * dx - (width if side == "right" else 0), r * dy + (0 if dy > 0 else -height), side)
            for r in (1, 4, 7, 10, 13)
            for dx, dy, side in _SIDES
        ]
        boxes = [(x + dx, y + dy, x + dx + width, y + dy + height) for dx, dy, _ in places]
        costs = [
            4 * _covered(box, taken) + _covered(box, discs) + 20 * _outside(box, frame)
            for box in boxes
        ]
        best = costs.index(min(costs))
        dx, dy, side = places[best]
        taken.append(boxes[best])
        arrow = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(
            name, point, xytext=(dx + (width if side == "right" else 0), dy + 1),
            textcoords="offset points", fontsize=7.5, color=INK, ha=side, va="bottom", zorder=6,
            arrowprops=arrow if best >= len(_SIDES) else None,
        )  # fmt: skip


def _covered(box: _Box, others: Sequence[_Box]) -> int:
    """How many of the others a box covers in part."""
    return sum(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in others)


def _outside(box: _Box, frame: Sequence[float]) -> bool:
    """Whether a box sticks out of the axes."""
    return box[0] < frame[0] or box[1] < frame[1] or box[2] > frame[2] or box[3] > frame[3]
