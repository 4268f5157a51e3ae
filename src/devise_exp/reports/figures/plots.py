"""A run's figures drawn: hit@k curves, the trade-off of seen and unseen, classes in the plane, what
a similarity is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from devise_exp.evaluation.protocols import MODEL
from devise_exp.reports.figures import style
from devise_exp.reports.figures.style import (
    COLOURS,
    FAINT,
    GRID,
    INK,
    Plot,
    legend_below,
    legend_beside,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Mapping[int, tuple[float, float | None, float | None]]  # k to (share, lo, hi)
PER_CENT = (0, 103)  # the upper edge leaves room for a mark at 100


def hit_curves(panels: Mapping[str, Mapping[str, Curve]], methods: Sequence[str]) -> Plot:
    """hit@k over k, a panel for each heading: method -> curve, the trained model's interval shaded;
    two panels a row.
    """
    rows = -(-len(panels) // 2)
    with style.figure(3.1 * rows + 0.4) as figure:
        grid = figure.subplots(rows, 2, sharey=True, squeeze=False).ravel().tolist()
        tips: dict[str, list[str]] = {}
        for place, (axes, heading) in enumerate(zip(grid, panels, strict=False)):
            tips |= _draw_hits(axes, panels[heading], methods, f"hits-{place}")
            style.label(axes, heading, "k", "hit@k, per cent" if place % 2 == 0 else "")
        for axes in grid[len(panels) :]:
            axes.remove()
        legend_below(figure, grid[: len(panels)], methods)
    text = (
        "Share of images whose true label is among the k nearest, mean over classes; the band is "
        "the trained model's 95 % interval over images"
    )
    return Plot("hit-curves", "hit@k by method", text, figure, tips)


def _draw_hits(
    axes: Axes, curves: Mapping[str, Curve], methods: Sequence[str], start: str
) -> dict[str, list[str]]:
    ks, tips = sorted({k for curve in curves.values() for k in curve}), {}
    for method in sorted(curves, key=lambda name: name == MODEL):  # which lies on top
        curve = curves[method]
        own = [k for k in ks if k in curve]
        at, shares = [ks.index(k) for k in own], [100 * curve[k][0] for k in own]
        gid = f"{start}-{methods.index(method)}"
        axes.plot(at, shares, gid=gid, label=method, **style.style(method, methods))
        tips[gid] = [f"{method}, hit@{k}: {s:.1f}" for k, s in zip(own, shares, strict=True)]
        low, high = ([curve[k][bound] for k in own] for bound in (1, 2))
        if method == MODEL and None not in (*low, *high):
            bottom, top = (100 * np.array(bound, dtype=float) for bound in (low, high))
            axes.fill_between(at, bottom, top, color=COLOURS[0], alpha=0.18, linewidth=0)
    axes.set_xticks(range(len(ks)), [str(k) for k in ks])
    axes.set_ylim(*PER_CENT)
    return tips


def tradeoff(
    curves: Mapping[str, Mapping[str, Any]],
    plain: Mapping[str, tuple[float, float]],
    methods: Sequence[str],
) -> Plot:
    """Seen over unseen class means of hit@1 among all labels. curves: method -> its entry in
    diagnostics.json; plain: method -> (unseen, seen) without calibration, drawn hollow.
    """
    tips = {}
    with style.figure(4.4) as figure:
        axes = figure.subplots()
        right = max(100 * max(curve["unseen"]) for curve in curves.values())
        axes.set(xlim=(0, min(103, 1.12 * right + 1)), ylim=PER_CENT)
        _draw_harmonic_means(axes)
        for method, curve in curves.items():
            look = style.style(method, methods)
            marker = look.pop("marker", "o")
            unseen, seen = (100 * np.array(curve[side]) for side in ("unseen", "seen"))
            axes.plot(unseen, seen, label=f"{method} (AUSUC {100 * curve['ausuc']:.1f})", **look)
            chosen = curve["chosen"]
            marks = {"no calibration": plain.get(method)}
            marks["calibrated"] = (chosen["unseen"], chosen["seen"]) if chosen else None
            for how, point in marks.items():
                if point is None:
                    continue
                gid = f"tradeoff-{how[:2]}-{methods.index(method)}"
                x, y = 100 * point[0], 100 * point[1]
                axes.plot(
                    [x], [y], marker, gid=gid, markersize=8, markeredgecolor=look["color"],
                    markerfacecolor="none" if how == "no calibration" else look["color"],
                    clip_on=False, zorder=5,
                )  # fmt: skip
                tips[gid] = [f"{method}, {how}: unseen {x:.1f}, seen {y:.1f}"]
        style.label(axes, "", "unseen images among all labels, hit@1 per class, per cent",
                      "seen images among all labels")  # fmt: skip
        legend_beside(axes)
    text = (
        "Class means of hit@1 as the similarity of every seen label is lowered, step by step, from "
        "answers among seen labels only (upper left) to unseen ones only (lower right). Filled "
        "mark: the gamma chosen on held-out seen classes; hollow: none; thin lines: equal H"
    )
    return Plot("tradeoff", "Seen against unseen", text, figure, tips)


def _draw_harmonic_means(axes: Axes) -> None:
    """Lines along which the harmonic mean is the same, each named where it leaves the axes."""
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    for h in range(10, 100, 10):
        least = h * top / (2 * top - h)  # of unseen, where seen reaches the top
        if least > right:
            break
        unseen = np.geomspace(least, right, 100)
        seen = h * unseen / (2 * unseen - h)
        axes.plot(unseen, seen, color=GRID, linewidth=0.7, zorder=0)
        place = (right, seen[-1])
        axes.annotate(
            f"H {h}", place, xytext=(-2, 2), textcoords="offset points", ha="right", color=FAINT,
            fontsize=7.5,
        )  # fmt: skip


def class_map(found: Mapping[str, Any]) -> Plot:
    """Words and image means of all classes in the plane; found: "map" in diagnostics.json."""
    tips: dict[str, list[str]] = {}
    with style.figure(5.6) as figure:
        axes = figure.subplots()
        axes.set_aspect("equal", adjustable="datalim")
        for i, side in enumerate(("seen", "unseen")):
            own = [entry for entry in found["classes"] if entry["seen"] == (side == "seen")]
            for entry in own:
                if entry["images"]:
                    ends = zip(entry["word"], entry["images"], strict=True)
                    strength = 0.75 if side == "unseen" else 0.3
                    axes.plot(*ends, color=COLOURS[i], linewidth=0.8, alpha=strength, zorder=1)
            tips |= _draw_places(axes, own, side, COLOURS[i])
        style.label(axes, "", "first principal component", "second")
        legend_below(figure, [axes], columns=4)
        _name_points(
            figure,
            axes,
            {e["name"]: (e["word"][0], e["word"][1]) for e in found["classes"] if not e["seen"]},
        )
    text = (
        "Each class's word and the mean of its test images, joined by a line; unseen classes are "
        f"named. The plane keeps {100 * found['explained']:.0f} % of the squared distances from "
        "the centre"
    )
    return Plot("map", "Classes in the plane", text, figure, tips)


def _draw_places(
    axes: Axes, entries: Sequence[Mapping[str, Any]], side: str, colour: str
) -> dict[str, list[str]]:
    """Discs at the words, crosses at the means of images."""
    tips = {}
    for kind, what in (("word", "word"), ("images", "mean of images")):
        known = [entry for entry in entries if entry[kind]]
        if known:
            disc, gid = kind == "word", f"map-{kind}-{side}"
            xs, ys = zip(*(entry[kind] for entry in known), strict=True)
            axes.scatter(
                xs, ys, s=24 if disc else 20, c=colour, marker="o" if disc else "x", gid=gid,
                linewidths=0 if disc else 1.1, label=f"{side}: {what}", zorder=3 if disc else 2,
            )  # fmt: skip
            tips[gid] = [f"{entry['name']} ({side}): {what}" for entry in known]
    return tips


def _name_points(figure: Figure, axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """A name beside each point, on the side where it covers the fewest names placed before it."""
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


def similarity(found: Mapping[str, Mapping[str, Any]]) -> Plot:
    """hit@1 of images by the similarity of their first label; found: heading of a protocol -> its
    entry in diagnostics.json.
    """
    tips: dict[str, list[str]] = {}
    with style.figure(3.6) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 100], color=GRID, linewidth=1, zorder=0)
        for i, (heading, entry) in enumerate(found.items()):
            bins, gid = entry["bins"], f"similarity-{i}"
            middles = [(b["lo"] + b["hi"]) / 2 for b in bins]
            shares = [100 * b["hit@1"] for b in bins]
            look = style.style(heading, list(found))
            axes.plot(middles, shares, gid=gid, label=heading, **look)
            tips[gid] = [
                f"{heading}, similarity {b['lo']:.2f} to {b['hi']:.2f}: {100 * b['hit@1']:.0f} % "
                f"of {b['images']} images right"
                for b in bins
            ]
        style.label(axes, "", "cosine of the image with its first label", "hit@1, per cent")
        least = min(b["lo"] for entry in found.values() for b in entry["bins"])
        axes.set(xlim=(min(0, least), 1), ylim=PER_CENT)
        legend_beside(axes)
    text = (
        "How often the first label is right, by its similarity, in bins of equally many images; on "
        "the diagonal a similarity could be read as the share of right answers"
    )
    return Plot("similarity", "What a similarity is worth", text, figure, tips)
