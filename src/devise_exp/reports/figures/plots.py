"""The figures of a run: hit@k curves, seen against unseen, and hit@1 by similarity."""

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
    Plot,
    legend_below,
    legend_beside,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = Mapping[int, tuple[float, float | None, float | None]]  # k to (share, lo, hi)
PER_CENT = (0, 103)  # the upper edge leaves room for a mark at 100


def hit_curves(
    panels: Mapping[str, Mapping[str, Curve]], methods: Sequence[str], columns: int = 2
) -> Plot:
    """Draw hit@k over k, a panel for each protocol.

    Args:
        panels: The heading of a protocol -> method -> curve.
        methods: All methods of the run; their order gives colours and markers.
        columns: Panels a row; 1 for narrow screens.

    Returns:
        The plot "hit-curves", or "hit-curves-narrow" of one column; the interval of the trained
        model is shaded.
    """
    rows, narrow = -(-len(panels) // columns), columns == 1
    with style.new_figure((2.6 if narrow else 3.1) * rows + 0.4, 4.3 * columns) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel().tolist()
        tooltips: dict[str, list[str]] = {}
        for i, (axes, heading) in enumerate(zip(grid, panels, strict=False)):
            tooltips |= _draw_hits(axes, panels[heading], methods, f"hits-{i}")
            style.label_axes(axes, heading, "k", "hit@k, per cent" if i % columns == 0 else "")
        for axes in grid[len(panels) :]:
            axes.remove()
        legend_below(figure, grid[: len(panels)], methods, columns=3 * columns)
    text = (
        "hit@k is the share of images whose true label is among the k nearest, as a mean over "
        "classes. The band is the trained model's 95 % interval over images"
    )
    name = "hit-curves-narrow" if narrow else "hit-curves"
    return Plot(name=name, title="hit@k by method", text=text, figure=figure, tooltips=tooltips)


def _draw_hits(
    axes: Axes, curves: Mapping[str, Curve], methods: Sequence[str], start: str
) -> dict[str, list[str]]:
    """Draw one panel; the tooltips of each curve by its id, which begins with `start`."""
    ks, tooltips = sorted({k for curve in curves.values() for k in curve}), {}
    for method in sorted(curves, key=lambda name: name == MODEL):  # the model lies on top
        curve = curves[method]
        curve_ks = [k for k in ks if k in curve]
        at, shares = [ks.index(k) for k in curve_ks], [100 * curve[k][0] for k in curve_ks]
        gid = f"{start}-{methods.index(method)}"
        axes.plot(at, shares, gid=gid, label=method, **style.method_style(method, methods))
        tooltips[gid] = [
            f"{method}, hit@{k}: {s:.1f}" for k, s in zip(curve_ks, shares, strict=True)
        ]
        low, high = ([curve[k][bound] for k in curve_ks] for bound in (1, 2))
        if method == MODEL and None not in (*low, *high):
            bottom, top = (100 * np.array(bound, dtype=float) for bound in (low, high))
            axes.fill_between(at, bottom, top, color=COLOURS[0], alpha=0.18, linewidth=0)
    axes.set_xticks(range(len(ks)), [str(k) for k in ks])
    axes.set_ylim(*PER_CENT)
    return tooltips


def tradeoff(
    curves: Mapping[str, Mapping[str, Any]],
    uncalibrated: Mapping[str, tuple[float, float]],
    methods: Sequence[str],
) -> Plot:
    """Draw class means of hit@1 among all labels, seen over unseen.

    Args:
        curves: Method -> its entry under "tradeoff" in diagnostics.json.
        uncalibrated: Method -> (unseen, seen) without calibration, drawn hollow.
        methods: All methods of the run; their order gives colours and markers.

    Returns:
        The plot "tradeoff".
    """
    tooltips: dict[str, list[str]] = {}
    with style.new_figure(4.4) as figure:
        axes = figure.subplots()
        right, top = (
            min(103, 1.12 * 100 * max(max(curve[side]) for curve in curves.values()) + 1)
            for side in ("unseen", "seen")
        )
        axes.set(xlim=(0, right), ylim=(0, top))
        _draw_harmonic_means(axes)
        for method, curve in curves.items():
            tooltips |= _draw_tradeoff(axes, method, curve, uncalibrated.get(method), methods)
        style.label_axes(
            axes, "", "unseen images among all labels, hit@1 per class, per cent",
            "seen images among all labels",
        )  # fmt: skip
        legend_beside(axes)
    text = (
        "Along a curve gamma grows, so that the similarity of every seen label falls: at the upper "
        "left all answers are seen labels, at the lower right all are unseen ones. A filled mark "
        "is the gamma chosen on class folds, a hollow mark is no gamma. H is equal along a thin "
        "line"
    )
    return Plot(
        name="tradeoff", title="Seen against unseen", text=text, figure=figure, tooltips=tooltips
    )


def _draw_tradeoff(
    axes: Axes,
    method: str,
    curve: Mapping[str, Any],
    uncalibrated: tuple[float, float] | None,
    methods: Sequence[str],
) -> dict[str, list[str]]:
    """Draw the curve of one method and its marks; the tooltip of each mark by its id."""
    tooltips = {}
    line = style.method_style(method, methods)
    marker = line.pop("marker", "o")
    unseen, seen = (100 * np.array(curve[side]) for side in ("unseen", "seen"))
    axes.plot(unseen, seen, label=f"{method} (AUSUC {100 * curve['ausuc']:.1f})", **line)
    chosen = curve["chosen"]
    calibrated = (chosen["unseen"], chosen["seen"]) if chosen else None
    for name, point in (("no calibration", uncalibrated), ("calibrated", calibrated)):
        if point is None:
            continue
        gid = f"tradeoff-{name[:2]}-{methods.index(method)}"
        x, y = 100 * point[0], 100 * point[1]
        axes.plot(
            [x], [y], marker, gid=gid, markersize=8, markeredgecolor=line["color"],
            markerfacecolor="none" if name == "no calibration" else line["color"],
            clip_on=False, zorder=5,
        )  # fmt: skip
        tooltips[gid] = [f"{method}, {name}: unseen {x:.1f}, seen {y:.1f}"]
    return tooltips


def _draw_harmonic_means(axes: Axes) -> None:
    """Draw lines of equal harmonic mean, with their names where they leave the axes."""
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    corner = 2 * right * top / (right + top)  # H where both are highest
    step = next(step for step in (10, 5, 2, 1) if corner >= 2 * step or step == 1)
    for h in range(step, 100, step):
        if h >= corner:
            break
        lowest = h * top / (2 * top - h)  # unseen, if seen is at the top
        unseen = np.geomspace(lowest, right, 100)
        seen = h * unseen / (2 * unseen - h)
        axes.plot(unseen, seen, color=GRID, linewidth=0.7, zorder=0)
        axes.annotate(
            f"H {h}", (right, seen[-1]), xytext=(-2, 2), textcoords="offset points", ha="right",
            color=FAINT, fontsize=7.5,
        )  # fmt: skip


def similarity(protocols: Mapping[str, Mapping[str, Any]]) -> Plot:
    """Draw hit@1 of images by the similarity of their first label.

    Args:
        protocols: The heading of a protocol -> its entry under "similarity" in diagnostics.json.

    Returns:
        The plot "similarity".
    """
    tooltips: dict[str, list[str]] = {}
    with style.new_figure(3.6) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 100], color=GRID, linewidth=1, zorder=0)
        for i, (heading, entry) in enumerate(protocols.items()):
            bins, gid = entry["bins"], f"similarity-{i}"
            middles = [(b["lo"] + b["hi"]) / 2 for b in bins]
            shares = [100 * b["hit@1"] for b in bins]
            line = style.method_style(heading, list(protocols))
            axes.plot(middles, shares, gid=gid, label=heading, **line)
            tooltips[gid] = [
                f"{heading}, similarity {b['lo']:.2f} to {b['hi']:.2f}: {100 * b['hit@1']:.0f} % "
                f"of {b['images']} images right"
                for b in bins
            ]
        style.label_axes(axes, "", "cosine of the image with its first label", "hit@1, per cent")
        lowest = min(b["lo"] for entry in protocols.values() for b in entry["bins"])
        axes.set(xlim=(min(0, lowest), 1), ylim=PER_CENT)
        legend_beside(axes)
    text = (
        "How often the first label is right, by its similarity. Each point stands for equally many "
        "images. If the points lie on the diagonal, a similarity of 0.6 means that 60 % of the "
        "answers are right"
    )
    title = "Does similarity predict correctness?"
    return Plot(name="similarity", title=title, text=text, figure=figure, tooltips=tooltips)
