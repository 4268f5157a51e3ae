"""The page of a run, whose figures several processes draw."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from devise_exp.core.side_work import side_work
from devise_exp.reports.figures.style import Plot, svg_or_nothing, to_image
from devise_exp.reports.html.page import write_html
from devise_exp.reports.html.shown_run import ShownRun

if TYPE_CHECKING:
    from PIL.Image import Image


def write_page(run: ShownRun, with_images: bool) -> None:
    """Write report.html.

    Args:
        run: The run.
        with_images: Whether figures are drawn as images too, now, by several processes, and not
            when `run.images` is asked for.

    Raises:
        InputError: The folder has no metrics, or one of its files is damaged.
    """
    plots = (*run.plots.values(), *run.narrow_plots.values())
    tasks = {p.name: partial(_drawn, p, with_images and p.name in run.plots) for p in plots}
    images: dict[str, Image] = {}
    with side_work(tasks) as work:

        def svg(plot: Plot) -> str:
            element, image = work.take(plot.name)
            if image is not None:
                images[plot.name] = image
            return str(element)

        write_html(run, svg)
    if images.keys() == run.plots.keys():  # else W&B's logger tries once more, and warns
        run.keep_images(images)


def _drawn(plot: Plot, with_image: bool) -> tuple[str, Image | None]:
    """A figure as <svg> and as an image.

    Each drawing moves the parts of a figure a little. The page's comes first, so that the page does
    not depend on which process draws.
    """
    element = svg_or_nothing(plot)
    try:
        return element, to_image(plot) if with_image else None
    except Exception:  # the page needs none
        return element, None
