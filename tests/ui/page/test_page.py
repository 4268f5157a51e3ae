"""The page of `devise-exp app`, asked over HTTP as a browser asks it."""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.images import COLOURS
from helpers.served_page import Page, mean_colour

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import calibration_line, tag_images
from devise_exp.ui.page.page import MAX_UPLOAD, serving


@pytest.fixture(scope="module")
def images(searchable: Path) -> Path:
    return searchable.parent / "images"


@pytest.fixture(scope="module")
def saved(searchable: Path) -> Run:
    return Run.open(searchable)


@pytest.fixture(scope="module")
def page(saved: Run) -> Iterator[Page]:
    with serving(saved) as url:
        yield Page(url)


# Asking


def test_words_find_the_images_that_the_search_finds(page: Page, saved: Run) -> None:
    shown = page.ask("cat", gallery="unseen", k=4)
    expected = find_images(saved, "cat", gallery="unseen", k=4)
    assert shown.captions == [f"{hit.similarity:.3f} {hit.row.label}" for hit in expected.hits]
    for url, hit in zip(shown.images, expected.hits, strict=True):
        np.testing.assert_allclose(mean_colour(url), COLOURS[hit.row.label], atol=12)
    assert "cat: the nearest 4 of 20 images (unseen)" in shown.line
    assert shown.tags == []
    assert shown.image is None


def test_an_image_finds_images_and_gets_tags(page: Page, saved: Run, images: Path) -> None:
    asked = images / "boat" / "03.png"
    shown = page.ask(image=asked)
    vector = saved.embed([open_image(asked)])["devise"]
    classes = [name for name, _ in tag_images(saved, vector, 8)[0]]
    words = [name for name, _ in tag_images(saved, vector, 8, True, 50_000)[0]]
    assert shown.tags == [*classes, *words]
    assert sorted(classes) == sorted(COLOURS)
    assert shown.note.startswith("not calibrated: the run chose no gamma")
    assert len(shown.captions) == 6
    assert shown.image is not None
    np.testing.assert_allclose(mean_colour(shown.image), COLOURS["boat"], atol=12)


def test_tags_are_calibrated_unless_the_switch_is_off(
    searchable: Path, images: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    with np.load(folder / "embeddings/devise.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "embeddings/devise.npz", **arrays, factor=np.array(1.5))
    saved, asked = Run.open(folder), images / "boat" / "03.png"
    unseen = {record.name for record in saved.folder.classes() if not record.seen}
    vector = saved.embed([open_image(asked)])["devise"]
    with serving(saved) as url:
        served = Page(url)
        calibrated, plain = (served.ask(image=asked, calibrated=on) for on in (True, False))
    assert set(calibrated.tags[:2]) == unseen != set(plain.tags[:2])
    assert plain.tags[:8] == [name for name, _ in tag_images(saved, vector, 8, plain=True)[0]]
    assert calibrated.tags[8:] == plain.tags[8:]
    assert calibrated.note == calibration_line(saved) != ""
    assert plain.note == ""
    assert calibrated.captions == plain.captions


def test_words_and_an_image_are_asked_together(page: Page, images: Path) -> None:
    shown = page.ask("tiger", images / "boat" / "03.png")
    assert "03.png and tiger" in shown.line
    assert shown.captions not in (
        page.ask("tiger").captions,
        page.ask(image=images / "boat" / "03.png").captions,
    )


def test_no_question_is_no_error(page: Page) -> None:
    shown = page.ask("  ")
    assert "problem" not in shown.line
    assert shown.captions == []


def test_more_images_than_there_are_find_all(page: Page, saved: Run) -> None:
    assert len(page.ask("cat", gallery="val", k=60).captions) == len(saved.gallery("val"))


# Wrong questions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("umbrelax", "umbrella"),
        ("-cat", "cat"),
        ("<b>qqzzx", "&#x27;qqzzx&#x27;"),
        ("cat -cat", "cancel"),
    ],
)
def test_a_question_without_an_answer_is_one_line_on_the_page(
    page: Page, text: str, said: str
) -> None:
    shown = page.ask(text)
    assert 'class="problem"' in shown.line
    assert said in shown.line
    assert "<b>" not in shown.line
    assert shown.captions == []


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + idat + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [(bomb(), "too large"), (b"no image", "not an image"), (b"", "not an image"),
     (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image")],
)  # fmt: skip
def test_an_image_that_cannot_be_opened_is_one_line_on_the_page(
    page: Page, tmp_path: Path, content: bytes, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "upload.png").write_bytes(content)
    shown = page.ask(image=tmp_path / "upload.png")
    assert 'class="problem"' in shown.line
    assert f"upload.png: {said}" in shown.line
    assert "/" not in shown.line.replace("</p>", "")  # no path of the server's
    assert shown.captions == []
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_file_that_is_too_large_is_refused_as_it_is_sent(page: Page) -> None:
    status, said = page.upload(b"\0" * (MAX_UPLOAD + 1))
    assert status == 413
    assert b"maximum allowed size" in said
    assert page.upload(b"small")[0] == 200


# Images that are elsewhere


def test_images_that_are_not_on_disk_are_cards_until_they_are_located(
    saved: Run, images: Path
) -> None:
    moved = images.rename(images.with_name("moved"))
    try:
        for image_root in (None, moved):
            with serving(saved, image_root=image_root) as url:
                shown = Page(url).ask("cat", k=3)
                colours = [mean_colour(image) for image in shown.images]
            labels = [caption.split()[1] for caption in shown.captions]
            expected = [COLOURS[name] if image_root else (243, 244, 246) for name in labels]
            np.testing.assert_allclose(colours, expected, atol=15)
    finally:
        moved.rename(images)


# Starting it


def test_a_taken_port_is_one_clear_line(saved: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"127.0.0.1, port {port}: .*another --port"),
            serving(saved, port=port),
        ):
            pass


def test_without_gradio_it_says_what_to_install(
    saved: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)  # what Python then makes of an import
    with pytest.raises(InputError, match=r"pip install 'devise-exp\[app\]'"), serving(saved):
        pass


def test_the_command_warns_of_an_open_address_and_ends_with_ctrl_c(saved: Run) -> None:
    code = "import typer; from devise_exp.ui.cli.images import app; typer.run(app)"
    command = [sys.executable, "-c", code, str(saved.folder.path), "--host", "0.0.0.0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "warning: on 0.0.0.0" in process.stderr.readline()
        assert "the page is at http" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "ended\n"
    assert process.returncode == 0
