"""The words and the images of all classes in one plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from devise_exp.reports.figures import style
from devise_exp.reports.figures.style import COLOURS, INK, Plot, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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


def _name_points(figure: Figure, axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write a name beside each point, on the side that covers the fewest names before it."""
    figure.draw_without_rendering()  # so that the layout is known
    taken: list[tuple[float, float, float, float]] = []
    for name, point in sorted(points.items(), key=lambda item: item[1]):
        x, y = axes.transData.transform(point) * 72 / figure.dpi  # in points
        width, height = 4.2 * len(name), 8
        sides = [(4, 3, "left"), (-4, 3, "right"), (4, -9, "left"), (-4, -9, "right")]
        boxes = []
        for dx, dy, alignment in sides:
            left = x + dx - (width if alignment == "right" else 0)
            boxes.append((left, y + dy, left + width, y + dy + height))
        covered = [
            sum(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in taken)
            for a in boxes
        ]
        best = covered.index(min(covered))
        taken.append(boxes[best])
        axes.annotate(
            name, point, xytext=sides[best][:2], textcoords="offset points", fontsize=7.5,
            color=INK, ha=sides[best][2], zorder=6,
        )  # fmt: skip
