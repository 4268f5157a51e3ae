"""Drawn figures: one manner for all, and each as SVG for a page, light or dark, or as a picture."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devise_exp.runs.results import CHANCE

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


@dataclass(frozen=True, eq=False)
class Plot:
    """A drawn figure. text: what it shows, for who cannot see it; tips: for each group of marks by
    its id, what each mark is.
    """

    name: str
    title: str
    text: str
    figure: Figure
    tips: Mapping[str, Sequence[str]]


def svg(plot: Plot) -> str:
    """The figure for an HTML page: colours are the page's variables, so it follows light and dark;
    the same bytes for the same figure.
    """
    from matplotlib import rc_context

    content = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": plot.name}):
        plot.figure.savefig(content, format="svg", transparent=True, metadata=nothing)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK)
    root = ET.fromstring(content.getvalue())
    for group in list(root.iter(f"{{{_SVG}}}g")):
        own = group.attrib.pop("id", "")  # several figures in a page would share these
        uses = list(group.iter(f"{{{_SVG}}}use")) if own in plot.tips else []
        for use, tip in zip(uses, plot.tips.get(own, ()), strict=False):
            ET.SubElement(use, f"{{{_SVG}}}title").text = tip
    for parent in list(root.iter()):
        for style in parent.findall(f"{{{_SVG}}}style"):
            parent.remove(style)  # it would hold for the whole page
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.attrib |= {"role": "img", "aria-labelledby": f"{plot.name}-title {plot.name}-text"}
    text = ET.tostring(root, encoding="unicode")
    return re.sub("|".join(VARIABLES), lambda match: VARIABLES[match[0]], text)


def picture(plot: Plot) -> Image:
    """The figure on white, about 1,300 pixels wide."""
    from PIL import Image

    content = io.BytesIO()
    plot.figure.savefig(content, format="png", dpi=150, facecolor="white")
    return Image.open(content).convert("RGB")


@contextmanager
def figure(height: float) -> Iterator[Figure]:
    """An empty figure, 8.6 inches wide, in the project's manner."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    manner: dict[Any, Any] = {
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
    with rc_context(manner):
        yield Figure(figsize=(8.6, height), layout="constrained")


def style(method: str, methods: Sequence[str]) -> dict[str, Any]:
    """Colour, line and marker of a method, the same in every figure of a run."""
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


def label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)


def legend_below(
    figure: Figure, panels: Sequence[Axes], order: Sequence[str] = (), columns: int = 6
) -> None:
    """One legend for all panels: the labels of `order` that occur, or all."""
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
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), labelcolor=INK)
