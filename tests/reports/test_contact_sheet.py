"""Contact sheets, read back as a viewer and a browser would read them."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devise_exp.reports.contact_sheet import (
    HEADING,
    RIGHT,
    SIDE,
    THUMBNAIL,
    Tile,
    draw_sheet,
    sheet_html,
    shortened,
)

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def one_colour(colour: tuple[int, int, int], width: int = 60, height: int = 60) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


class Parsed(HTMLParser):
    """What a browser sees: the elements with their attributes, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def images(self) -> list[Image.Image]:
        sources = [str(attributes["src"]) for attributes in self.all("img")]
        assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
        return [Image.open(io.BytesIO(base64.b64decode(s.split(",")[1]))) for s in sources]


def mean_colour(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), dtype=float).mean(axis=(0, 1))


def cells_of(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int]:
    """The upper left pixel of the one area of `colour`."""
    rows, columns = np.nonzero((np.asarray(sheet) == np.array(colour)).all(axis=2))
    return int(columns.min()), int(rows.min())


def test_the_sheet_has_the_images_in_reading_order_on_white(tmp_path: Path) -> None:
    one_colour(GREEN).save(tmp_path / "green.png")
    colours = [Tile(one_colour(RED), "one"), Tile(tmp_path / "green.png", "two"),
               Tile(one_colour(BLUE), "three")]  # fmt: skip
    sheet = draw_sheet(colours, "title", columns=2)
    red, green, blue = (cells_of(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert red[1] == green[1] < blue[1]
    assert red[0] == blue[0] < green[0]
    assert sheet.getpixel((0, 0)) == (255, 255, 255)
    assert sheet.width >= 2 * SIDE


def test_title_name_and_note_are_drawn_in_the_sheet() -> None:
    sheets = [
        draw_sheet([Tile(None, name, note)], title).tobytes()
        for title, name, note in (("", "", ""), ("t", "", ""), ("", "n", ""), ("", "", "0.5"))
    ]
    assert len(set(sheets)) == 4


@pytest.mark.parametrize("text", ["Käse", "рысь", "\udc80 lone", "two\nlines\0", "x" * 500])
def test_any_text_can_be_drawn_and_written(text: str, tmp_path: Path) -> None:
    tiles = [Tile(None, text, text)]
    assert draw_sheet(tiles, text).size == draw_sheet([Tile(None, "")], "").size
    (tmp_path / "page.html").write_text(sheet_html(tiles, text, text), encoding="utf-8")


def test_letters_outside_ascii_are_drawn_as_themselves() -> None:
    assert (
        draw_sheet([Tile(None, "é")], "").tobytes() != draw_sheet([Tile(None, "ü")], "").tobytes()
    )


def test_images_marked_right_have_a_green_border_and_others_none() -> None:
    green = tuple(bytes.fromhex(RIGHT[1:]))
    marked = [draw_sheet([Tile(one_colour(RED), "one", marked=m)], "") for m in (True, False, None)]
    colours = [{colour for _, colour in sheet.getcolors(1 << 16)} for sheet in marked]
    assert [green in sheet for sheet in colours] == [True, False, False]
    assert len({sheet.tobytes() for sheet in marked}) == 3
    assert marked[0].getpixel((20, HEADING)) == green
    parsed = Parsed(sheet_html([Tile(None, "a", marked=True), Tile(None, "b", marked=False)], ""))
    assert "right" in parsed.text  # said, not only coloured
    assert "wrong" in parsed.text


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000), (1, 1), (400, 300)])
def test_images_of_any_shape_fit_their_cell(size: tuple[int, int]) -> None:
    assert (
        draw_sheet([Tile(one_colour(RED, *size), "")], "").size
        == draw_sheet([Tile(None, "")], "").size
    )
    (shown,) = Parsed(sheet_html([Tile(one_colour(RED, *size), "")], "")).images()
    assert max(shown.size) == THUMBNAIL


def test_an_image_that_cannot_be_opened_becomes_a_card(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    gone = [Tile(tmp_path / name, "okapi", "0.4") for name in ("broken.jpg", "gone.jpg")]
    card = draw_sheet([Tile(None, "okapi", "0.4")], "").tobytes()
    assert [draw_sheet([tile], "").tobytes() for tile in gone] == [card, card]
    assert sheet_html(gone[:1], "") == sheet_html([Tile(None, "okapi", "0.4")], "")


def test_the_page_holds_its_images_and_asks_for_nothing_else() -> None:
    source = sheet_html(
        [Tile(one_colour(RED), "one", "0.91"), Tile(one_colour(BLUE), "two")], "title"
    )
    parsed = Parsed(source)
    for shown, colour in zip(parsed.images(), (RED, BLUE), strict=True):
        np.testing.assert_allclose(mean_colour(shown), colour, atol=3)
    assert {tag for tag, _ in parsed.elements}.isdisjoint({"script", "link", "iframe", "object"})
    assert "http://" not in source
    assert "https://" not in source
    assert "url(" not in source
    assert "0.91" in parsed.text


def test_text_in_the_page_is_escaped() -> None:
    evil = "<script>alert('\"')</script>&amp;"
    parsed = Parsed(sheet_html([Tile(None, evil, evil)], evil, evil))
    assert not parsed.all("script")
    assert parsed.text.count(evil) == 4  # <title>, heading, caption, note
    assert parsed.all("img")[0]["alt"] == evil


def test_names_are_cut_in_the_middle() -> None:
    assert shortened("grand_piano/image_0042.jpg", 15) == "grand_p…042.jpg"
    assert shortened("short.jpg", 15) == "short.jpg"
    parsed = Parsed(sheet_html([Tile(None, "grand_piano/a_very_long_name_0042.jpg")], ""))
    assert "0042.jpg" in parsed.text
    assert [d["title"] for d in parsed.all("div") if d.get("title")] == [
        "grand_piano/a_very_long_name_0042.jpg"
    ]


def test_no_tiles_are_a_sheet_with_a_title_alone() -> None:
    assert draw_sheet([], "nothing found").height < SIDE
    assert "no images" in Parsed(sheet_html([], "nothing found")).text
