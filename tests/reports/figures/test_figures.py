"""What figures show where, measured in the drawing."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from devise_exp.reports.figures import plots
from devise_exp.reports.figures.class_plot import class_plot


@pytest.mark.parametrize("seen", [[0.03, 0.0], [0.0, 0.0], [0.95, 0.1]])
def test_the_axes_of_seen_against_unseen_fit_the_curves(seen: list[float]) -> None:
    curve = {"seen": seen, "unseen": [0.0, 0.4], "ausuc": 0.01, "chosen": None}
    (axes,) = plots.tradeoff({"devise": curve}, {}, ["devise"]).figure.axes
    highest = 100 * max(seen)
    assert highest < axes.get_ylim()[1] <= min(103, 1.12 * highest + 1)
    assert 40 < axes.get_xlim()[1] < 50
    lines = [float(text.get_text().removeprefix("H ")) for text in axes.texts]
    assert all(0 < h < 100 for h in lines)


def test_panels_of_a_narrow_screen_are_below_one_another() -> None:
    panels = {str(i): {"devise": {1: (0.5, 0.4, 0.6), 5: (0.9, 0.8, 1.0)}} for i in range(3)}
    for columns, places in ((2, (2, 2)), (1, (1, 3))):
        plot = plots.hit_curves(panels, ["devise"], columns)
        plot.figure.draw_without_rendering()
        corners = [axes.get_position() for axes in plot.figure.axes]
        lefts = {round(corner.x0, 2) for corner in corners}
        bottoms = {round(corner.y0, 2) for corner in corners}
        assert (len(lefts), len(bottoms)) == places
        assert plot.figure.get_figwidth() == pytest.approx(4.3 * columns)


def test_names_of_near_points_do_not_cover_one_another() -> None:
    entries = [
        {
            "name": f"class {i}",
            "seen": i > 11,
            "word": [0.01 * (i % 3), 0.01 * (i % 4)],
            "images": [0.5 - 0.1 * i, 0.3],
        }
        for i in range(14)
    ]
    plot = class_plot({"classes": entries, "explained": 0.5})
    plot.figure.draw_without_rendering()
    (axes,) = plot.figure.axes
    names = {text.get_text(): text for text in axes.texts}
    assert sorted(names) == sorted(f"class {i}" for i in range(12))  # the unseen ones
    renderer = FigureCanvasAgg(plot.figure).get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in names.values()]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    leaders = [text.arrow_patch for text in names.values() if text.arrow_patch is not None]
    assert 0 < len(leaders) < 12  # of those that found no place beside their point
