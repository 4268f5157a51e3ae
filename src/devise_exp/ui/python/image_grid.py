"""Images side by side in a notebook, as one piece of HTML that holds them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from devise_exp.core.console import printable
from devise_exp.reports.contact_sheet import RIGHT, WRONG, Tile, shortened, thumbnail
from devise_exp.reports.inline_images import data_uri

MAX_IMAGES = 24  # a notebook keeps every image that it shows
SIDE = 128  # pixels of the longer side
_QUALITY = 80  # that of JPEG
_NAME, _WHOLE_NAME = 20, 300  # characters
_CELL = (
    '<div style="width: {width}px; margin: 4px; overflow: hidden">'
    '<div style="width: {side}px; height: {side}px; display: flex; align-items: center; '
    'justify-content: center; border: 3px solid {border}">'
    '<img src="{source}" alt="{whole}" style="max-width: 100%; max-height: 100%; margin: 0"></div>'
    '<div title="{whole}" style="white-space: nowrap">{name}</div>'
    '<div style="font-size: smaller; opacity: .7; white-space: pre-line">{note}</div></div>'
)
_BORDERS = {True: RIGHT, False: WRONG, None: "transparent"}


def image_grid(tiles: Sequence[Tile], title: str, note: str = "") -> str:
    """Write images with their names as HTML: no script, no request, all text escaped.

    Args:
        tiles: In reading order; the first 24 are shown.
        title: A line above.
        note: A line below, "" for none.

    Returns:
        HTML that needs no style of its page, of at most some 300 KB.
    """
    cells = Markup("").join(map(_cell, tiles[:MAX_IMAGES]))
    rest = len(tiles) - MAX_IMAGES
    lines = [f"... and {rest:,} more"] if rest > 0 else []
    lines += [note] if note else []
    below = Markup("").join(Markup("<div>{}</div>").format(line) for line in lines)
    whole = Markup("<p><b>{}</b></p><div style='display: flex; flex-wrap: wrap'>{}</div>{}")
    return str(whole.format(shortened(printable(title), _WHOLE_NAME), cells, below))


def _cell(tile: Tile) -> Markup:
    """One image with its name and note."""
    name = printable(tile.title)
    content = Markup(_CELL).format(
        width=SIDE + 6,
        side=SIDE,
        border=_BORDERS[tile.marked],
        source=data_uri(thumbnail(tile, SIDE), quality=_QUALITY),
        whole=shortened(name, _WHOLE_NAME),
        name=shortened(name, _NAME),
        note=Markup("<br>").join(map(escape, map(printable, tile.note.split("\n")))),
    )
    return content
