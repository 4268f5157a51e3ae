"""Contact sheets: images with names and notes, drawn as one image or written as one HTML page."""

from __future__ import annotations

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
from devise_exp.data.decoding import open_image
from devise_exp.reports.inline_images import data_uri

THUMBNAIL = 256  # pixels, the longer side of an image in the page
# The drawn sheet, in pixels: the square of an image, the space between cells, a line of text.
SIDE, GAP, LINE, HEADING = 192, 20, 20, 52
FRAME = 6  # the border of a marked image; green and red that colour-blind eyes tell apart
INK, FAINT, CARD, RIGHT, WRONG = "#1b1f24", "#6a737d", "#f3f4f6", "#009e73", "#d55e00"
# Pillow's font draws little beyond ASCII: the fonts to try next.
FALLBACK_FONTS = (
    *("LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf", "DejaVuSans.ttf"),
    *("Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "PingFang.ttc", "msyh.ttc", "msgothic.ttc"),
)
NOT_A_CHARACTER = "\U0010ffff"  # drawn as any character that the font lacks


@dataclass(frozen=True)
class Tile:
    """One image with its name and a note.

    Attributes:
        image: A file, an image in memory, or None if there is none to show.
        title: Its name.
        note: Such as its similarity.
        marked: Right (True) or wrong (False), shown as a green or red border; None is neither.
    """

    image: Path | Image.Image | None
    title: str
    note: str = ""
    marked: bool | None = None


def draw_sheet(tiles: Sequence[Tile], title: str, columns: int = 6) -> Image.Image:
    """Draw tiles in rows under one line of title, on white.

    Args:
        tiles: In reading order.
        title: Cut in the middle if it is longer than the sheet is wide.
        columns: The most tiles in a row.

    Returns:
        The sheet, RGB.
    """
    across = max(1, min(columns, len(tiles)))
    down = -(-len(tiles) // across)
    cell = SIDE + GAP, SIDE + 2 * LINE + GAP
    width = max(across, 3) * cell[0] + GAP  # room for the title
    sheet = Image.new("RGB", (width, HEADING + down * cell[1] + GAP), "white")
    _write(ImageDraw.Draw(sheet), (GAP, GAP - 4), title, 20, INK, width - 2 * GAP)
    for i, tile in enumerate(tiles):
        _draw_cell(sheet, tile, GAP + i % across * cell[0], HEADING + i // across * cell[1])
    return sheet


def sheet_html(tiles: Sequence[Tile], title: str, caption: str = "") -> str:
    """Write an HTML page that holds its images: no script, no request, all text escaped.

    Args:
        tiles: In reading order.
        title: The heading.
        caption: A line below the heading, "" for none.

    Returns:
        The page.
    """
    from jinja2 import Environment

    source = files("devise_exp.reports").joinpath("assets/contact_sheet.html.jinja")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        source.read_text(encoding="utf-8")
    )
    cells = [
        {
            "source": data_uri(thumbnail(tile, THUMBNAIL), quality=88),
            "name": _plain(tile.title),
            "short": shortened(_plain(tile.title), 22),
            "note": _plain(tile.note),
            "mark": {True: "right", False: "wrong", None: ""}[tile.marked],
        }
        for tile in tiles
    ]
    return template.render(cells=cells, title=_plain(title), caption=_plain(caption))


def thumbnail(tile: Tile, side: int) -> Image.Image:
    """Make a small RGB image of a tile.

    Args:
        tile: What to show.
        side: Pixels of the longer side.

    Returns:
        The image, or a square card with title and note if there is none or its file cannot be
        opened.
    """
    image = tile.image
    if isinstance(image, Path):
        try:
            image = open_image(image)
        except InputError:
            image = None
    if image is None:
        return _card(tile, side)
    scale = side / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def shortened(text: str, length: int) -> str:
    """Cut a text in the middle, since both ends of a file name tell it apart.

    Args:
        text: Any text.
        length: The most characters.

    Returns:
        The text itself if it is short enough.

    Example:
        >>> shortened("grand_piano/image_0042.jpg", 15)
        'grand_p…042.jpg'
    """
    if len(text) <= length:
        return text
    kept = max(length - 1, 0)
    return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"


def _draw_cell(sheet: Image.Image, tile: Tile, x: int, y: int) -> None:
    """Draw one tile, its upper left corner at (x, y)."""
    draw = ImageDraw.Draw(sheet)
    frame = FRAME if tile.marked is not None else 0
    box = (x, y, x + SIDE - 1, y + SIDE - 1)
    draw.rectangle(box, CARD, RIGHT if tile.marked else WRONG, frame)
    shown = thumbnail(tile, SIDE - 2 * frame)
    sheet.paste(shown, (x + (SIDE - shown.width) // 2, y + (SIDE - shown.height) // 2))
    _write(draw, (x, y + SIDE + 4), tile.title, 15, INK, SIDE)
    _write(draw, (x, y + SIDE + 4 + LINE), tile.note, 13, FAINT, SIDE)


def _card(tile: Tile, side: int) -> Image.Image:
    """Draw a square with the tile's title and note."""
    card = Image.new("RGB", (side, side), CARD)
    draw = ImageDraw.Draw(card)
    margin = side // 12
    middle = side // 2
    _write(draw, (margin, middle - LINE), tile.title, 15, INK, side - 2 * margin, centred=True)
    _write(draw, (margin, middle + 2), tile.note, 13, FAINT, side - 2 * margin, centred=True)
    return card


def _write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    size: int,
    colour: str,
    width: int,
    centred: bool = False,
) -> None:
    """Draw one line of text in `width` pixels, cut in the middle if it is longer."""
    line = _plain(text)
    font = _font(line, size)
    lengths = range(len(line) + 1)
    fit = bisect_right(lengths, width, key=lambda n: ceil(font.getlength(shortened(line, n))))
    line = shortened(line, max(fit - 1, 1))
    indent = (width - font.getlength(line)) / 2 if centred else 0
    draw.text((corner[0] + indent, corner[1]), line, colour, font)


def _plain(text: str) -> str:
    """Put a text on one line, in characters that any font and file can take."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").split())


def _font(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Choose the font that lacks the fewest letters of `text`."""
    if text.isascii():
        return _fonts(size)[0]
    return min(_fonts(size), key=lambda font: sum(_lacks(font, letter) for letter in text))


@cache
def _fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    """Load the fonts of this machine, Pillow's own first."""
    default = ImageFont.load_default(size)
    assert isinstance(default, ImageFont.FreeTypeFont)
    fonts = [default]
    for name in FALLBACK_FONTS:
        with suppress(OSError):  # not on this machine
            fonts.append(ImageFont.truetype(name, size))
    return tuple(fonts)


def _lacks(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    return bytes(font.getmask(letter)) == bytes(font.getmask(NOT_A_CHARACTER))
