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
        with_images: Whether its figures are drawn as images too, which `run.images` then has.
    """
    wide, narrow = run.plots.values(), run.narrow_plots.values()
    tasks = {f"wide {plot.name}": partial(_drawn, plot, with_images) for plot in wide}
    tasks |= {f"narrow {plot.name}": partial(_drawn, plot, False) for plot in narrow}
    images: dict[str, Image | None] = {}
    with side_work(tasks) as work:

        def svg(plot: Plot) -> str:
            is_wide = plot in wide
            element: str
            element, image = work.take(f"{'wide' if is_wide else 'narrow'} {plot.name}")
            if is_wide:
                images[plot.name] = image
            return element

        write_html(run, svg)
    complete = {name: image for name, image in images.items() if image is not None}
    if complete.keys() == run.plots.keys():  # else W&B's logger tries once more, and warns
        run.keep_images(complete)


def _drawn(plot: Plot, with_image: bool) -> tuple[str, Image | None]:
    """A figure as <svg> and as an image, always in this order: each drawing moves its parts."""
    element = svg_or_nothing(plot)
    try:
        return element, to_image(plot) if with_image else None
    except Exception:  # the page needs none
        return element, None
