"""One style for all figures, and a figure as SVG for a page, light or dark, or as an image."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devise_exp.core.console import format_error, warn
from devise_exp.evaluation.records import CHANCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

# Colours that colour-blind eyes tell apart (Okabe and Ito); line and marker differ as well.
INK, FAINT, GRID = "#1b1f24", "#6a737d", "#d8dce1"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d46", "#5e4fa2")
_DASHES = ("-", (0, (5, 2)), (0, (6, 2, 1, 2)), (0, (2, 1.5)))
_MARKERS = "os^DvPX*"
VARIABLES = {colour: f"var(--series-{i})" for i, colour in enumerate(COLOURS)} | {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    GRID: "var(--grid)",
}
_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


@dataclass(frozen=True, eq=False, kw_only=True)
class Plot:
    """A figure with what a page says of it.

    Attributes:
        name: Its key in a page and in W&B.
        title: Its heading.
        text: What it shows, for a reader who cannot see it.
        figure: The drawing.
        tooltips: The id of a group of marks -> what each mark is.
    """

    name: str
    title: str
    text: str
    figure: Figure
    tooltips: Mapping[str, Sequence[str]]


def svg_or_nothing(plot: Plot) -> str:
    """Write a figure for an HTML page, or warn that it could not be drawn.

    Args:
        plot: The figure.

    Returns:
        An <svg> element, "" for none.
    """
    try:
        return to_svg(plot)
    except Exception as error:  # a page without a figure is still the page of its run
        warn(f"the figure {plot.name} is left out: {format_error(error)}")
        return ""


def to_svg(plot: Plot) -> str:
    """Write a figure for an HTML page.

    Colours become the page's variables, so the figure follows light and dark; the same figure
    gives the same bytes.

    Args:
        plot: The figure.

    Returns:
        An <svg> element.
    """
    from matplotlib import rc_context

    content = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _any_letters(), rc_context({"svg.fonttype": "none", "svg.hashsalt": plot.name}):
        plot.figure.savefig(content, format="svg", transparent=True, metadata=nothing)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK)
    root = ET.fromstring(content.getvalue())
    for group in list(root.iter(f"{{{_SVG}}}g")):
        gid = group.attrib.pop("id", "")  # several figures in a page would share these
        uses = list(group.iter(f"{{{_SVG}}}use")) if gid in plot.tooltips else []
        for use, tooltip in zip(uses, plot.tooltips.get(gid, ()), strict=False):
            ET.SubElement(use, f"{{{_SVG}}}title").text = tooltip
    for parent in list(root.iter()):
        for style in parent.findall(f"{{{_SVG}}}style"):
            parent.remove(style)  # it would hold for the whole page
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.attrib |= {"role": "img", "aria-labelledby": f"{plot.name}-title {plot.name}-text"}
    text = ET.tostring(root, encoding="unicode")
    return re.sub("|".join(VARIABLES), lambda match: VARIABLES[match[0]], text)


def to_image(plot: Plot) -> Image:
    """Draw a figure on white.

    Args:
        plot: The figure.

    Returns:
        An RGB image, about 1,300 pixels wide.
    """
    from PIL import Image

    content = io.BytesIO()
    with _any_letters():
        plot.figure.savefig(content, format="png", dpi=150, facecolor="white")
    return Image.open(content).convert("RGB")


@contextmanager
def _any_letters() -> Iterator[None]:
    """Do not warn of letters that matplotlib's font lacks: a browser draws them by its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(Glyph|Matplotlib currently does not support)")
        yield


@contextmanager
def new_figure(height: float, width: float = 8.6) -> Iterator[Figure]:
    """Make an empty figure in the project's style, to draw in.

    Args:
        height: In inches.
        width: In inches.

    Yields:
        The figure.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "text.parse_math": False,  # a name may hold dollars
        "font.size": 9,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.fontsize": 9,
    }
    with rc_context(settings):
        yield Figure(figsize=(width, height), layout="constrained")


def method_style(method: str, methods: Sequence[str]) -> dict[str, Any]:
    """Choose colour, line and marker of a method, the same in every figure of a run.

    Args:
        method: Its name.
        methods: All methods of the run.

    Returns:
        Keyword arguments of matplotlib's `plot`.
    """
    if method == CHANCE:
        return {"color": FAINT, "linestyle": (0, (1, 2)), "linewidth": 1.2}
    i = methods.index(method)
    return {
        "color": COLOURS[i % len(COLOURS)],
        "linestyle": _DASHES[i % len(_DASHES)],
        "marker": _MARKERS[i % len(_MARKERS)],
        "linewidth": 2.4 if i == 0 else 1.5,
        "markersize": 5,
    }


def label_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Name axes.

    Args:
        axes: Where the title and the labels go.
        title: Above, on the left; "" for none.
        x: The label of the horizontal axis.
        y: The label of the vertical axis.
    """
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)


def legend_below(
    figure: Figure, panels: Sequence[Axes], order: Sequence[str] = (), columns: int = 6
) -> None:
    """Draw one legend for all panels.

    Args:
        figure: The legend goes below it.
        panels: The axes that have the labels.
        order: The labels to show, those that occur; () for all.
        columns: The most columns of the legend.
    """
    handles = {
        text: handle
        for axes in panels
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    names = [name for name in order or handles if name in handles]
    figure.legend(
        [handles[name] for name in names], names, loc="outside lower center", frameon=False,
        ncols=min(columns, len(names)), labelcolor=INK,
    )  # fmt: skip


def legend_beside(axes: Axes) -> None:
    """Draw the legend to the right of the axes.

    Args:
        axes: What the legend explains.
    """
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), labelcolor=INK)
