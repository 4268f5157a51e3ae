"""Contact sheets: pictures with their names and notes as one PNG, or as one page of HTML that needs
nothing beside it.
"""

from __future__ import annotations

import base64
import io
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import ceil
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from devise_exp.core.errors import InputError
from devise_exp.data.images import open_image

THUMBNAIL = 256  # pixels, the longer side of a picture in the page
# The drawn sheet, in pixels: the square of a picture, the space between cells, a line of text.
SIDE, GAP, LINE, HEADING = 192, 20, 20, 52
FRAME = 6  # the border of a marked picture; green and red that colour-blind eyes tell apart
INK, FAINT, CARD, RIGHT, WRONG = "#1b1f24", "#6a737d", "#f3f4f6", "#009e73", "#d55e00"
# Pillow's own font draws little beyond ASCII; then the first of these that has every letter.
FALLBACK_FONTS = (
    *("LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf", "DejaVuSans.ttf"),
    *("Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "PingFang.ttc", "msyh.ttc", "msgothic.ttc"),
)
NOT_A_CHARACTER = "\U0010ffff"  # drawn as the font draws what it lacks


@dataclass(frozen=True)
class Tile:
    """One picture with its name and a note, such as its similarity.

    picture: a file, a picture in memory, or None where there is none to show. marked: right (True)
    or wrong (False), shown as a green or red border; None is neither.
    """

    picture: Path | Image.Image | None
    title: str
    note: str = ""
    marked: bool | None = None


def grid(tiles: Sequence[Tile], title: str, columns: int = 6) -> Image.Image:
    """Draw all tiles in rows of `columns` under one line of title, on white."""
    across = max(1, min(columns, len(tiles)))
    down = -(-len(tiles) // across)
    cell = SIDE + GAP, SIDE + 2 * LINE + GAP
    width = max(across, 3) * cell[0] + GAP  # room for the title
    sheet = Image.new("RGB", (width, HEADING + down * cell[1] + GAP), "white")
    _write(ImageDraw.Draw(sheet), (GAP, GAP - 4), title, 20, INK, width - 2 * GAP)
    for i, tile in enumerate(tiles):
        _draw_cell(sheet, tile, GAP + i % across * cell[0], HEADING + i // across * cell[1])
    return sheet


def page(tiles: Sequence[Tile], title: str, caption: str = "") -> str:
    """An HTML page with every picture in it: no script, no request, all text escaped."""
    from jinja2 import Environment

    source = files("devise_exp.reports").joinpath("assets/contact_sheet.html.jinja")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        source.read_text(encoding="utf-8")
    )
    cells = [
        {
            "source": _data_uri(thumbnail(tile, THUMBNAIL)),
            "name": _plain(tile.title),
            "short": shortened(_plain(tile.title), 22),
            "note": _plain(tile.note),
            "mark": {True: "right", False: "wrong", None: ""}[tile.marked],
        }
        for tile in tiles
    ]
    return template.render(cells=cells, title=_plain(title), caption=_plain(caption))


def thumbnail(tile: Tile, side: int) -> Image.Image:
    """The tile's picture in RGB, its longer side `side` pixels; where there is none, or its
    file cannot be opened any more, a plain square card with title and note.
    """
    picture = tile.picture
    if isinstance(picture, Path):
        try:
            picture = open_image(picture)
        except InputError:
            picture = None
    if picture is None:
        return _card(tile, side)
    scale = side / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def shortened(text: str, length: int) -> str:
    """`text` in at most `length` characters, cut in the middle: both ends of a file name tell."""
    if len(text) <= length:
        return text
    kept = max(length - 1, 0)
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _draw_cell(sheet: Image.Image, tile: Tile, x: int, y: int) -> None:
    """One tile, its upper left corner at (x, y)."""
    draw = ImageDraw.Draw(sheet)
    frame = FRAME if tile.marked is not None else 0
    box = (x, y, x + SIDE - 1, y + SIDE - 1)
    draw.rectangle(box, CARD, RIGHT if tile.marked else WRONG, frame)
    shown = thumbnail(tile, SIDE - 2 * frame)
    sheet.paste(shown, (x + (SIDE - shown.width) // 2, y + (SIDE - shown.height) // 2))
    _write(draw, (x, y + SIDE + 4), tile.title, 15, INK, SIDE)
    _write(draw, (x, y + SIDE + 4 + LINE), tile.note, 13, FAINT, SIDE)


def _card(tile: Tile, side: int) -> Image.Image:
    card = Image.new("RGB", (side, side), CARD)
    draw = ImageDraw.Draw(card)
    margin = side // 12
    middle = side // 2
    _write(draw, (margin, middle - LINE), tile.title, 15, INK, side - 2 * margin, centred=True)
    _write(draw, (margin, middle + 2), tile.note, 13, FAINT, side - 2 * margin, centred=True)
    return card


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int,
    colour: str,
    width: int,
    centred: bool = False,
) -> None:
    """One line of text in `width` pixels, cut in the middle where it is longer."""
    line = _plain(text)
    font = _font(line, size)
    lengths = range(len(line) + 1)
    fit = bisect_right(lengths, width, key=lambda n: ceil(font.getlength(shortened(line, n))))
    line = shortened(line, max(fit - 1, 1))
    indent = (width - font.getlength(line)) / 2 if centred else 0
    draw.text((place[0] + indent, place[1]), line, colour, font)


def _plain(text: str) -> str:
    """`text` on one line, in what any font or file can take."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").split())


def _font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """The font that lacks the fewest letters of `text`."""
    if text.isascii():
        return _fonts(size)[0]
    return min(_fonts(size), key=lambda font: sum(_lacks(font, letter) for letter in text))


@cache
def _fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)
    found = [own]
    for name in FALLBACK_FONTS:
        with suppress(OSError):  # not on this machine
            found.append(ImageFont.truetype(name, size))
    return tuple(found)


def _lacks(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    return bytes(font.getmask(letter)) == bytes(font.getmask(NOT_A_CHARACTER))


def _data_uri(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
