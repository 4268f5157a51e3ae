"""The page of `devise-exp app`, asked over HTTP as a browser asks it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from helpers.images import COLOURS
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.images import open_image
from devise_exp.search.answers import find_images, tag_images
from devise_exp.search.saved_run import Run
from devise_exp.ui.page.page import MAX_UPLOAD, serving


class Shown(NamedTuple):
    """What the page shows: the line above, tags, captions and addresses of images."""

    told: str
    tags: list[str]
    image: str | None
    captions: list[str]
    images: list[str]


class Page:
    """A served page and its address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client(url, verbose=False, download_files=False, analytics_enabled=False)

    def ask(
        self, text: str = "", image: Path | None = None, gallery: str = "all", k: int = 6
    ) -> Shown:
        file = None if image is None else handle_file(str(image))
        told, tags, asked, found = self.client.predict(text, file, gallery, k, api_name="/search")
        assert len(told.splitlines()) == 1
        return Shown(
            told,
            [unescape(tag) for tag in re.findall(r"<li>(.*?) <b>", tags)],
            asked["value"] and asked["value"]["url"],
            [each["caption"] for each in found],
            [each["image"]["url"] for each in found],
        )

    def get(self, path: str, host: str | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(
            f"{self.url}{path}", headers={"Host": host} if host else {}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def upload(self, content: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        request = urllib.request.Request(
            f"{self.url}gradio_api/upload",
            head + content + b"\r\n--x--\r\n",
            {"Content-Type": "multipart/form-data; boundary=x", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def search_by_path(self, path: str) -> str:
        """What the server says to a question that names a file of its own."""
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        address = f"{self.url}gradio_api/call/search"
        body = json.dumps({"data": ["", file, "all", 3]}).encode()
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)["event_id"]
        with urllib.request.urlopen(f"{address}/{event}") as answer:
            said: str = answer.read().decode()
        return said


def mean_colour(url: str) -> np.ndarray:
    with urllib.request.urlopen(url) as answer:
        image = Image.open(io.BytesIO(answer.read()))
    return np.asarray(image.convert("RGB"), dtype=float).mean(axis=(0, 1))


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
    assert "cat: the nearest 4 of 20 images (unseen)" in shown.told
    assert shown.tags == []
    assert shown.image is None


def test_a_image_finds_images_and_gets_tags(page: Page, saved: Run, images: Path) -> None:
    asked = images / "boat" / "03.png"
    shown = page.ask(image=asked)
    vector = saved.embed([open_image(asked)])["devise"]
    classes = [name for name, _ in tag_images(saved, vector, 8)[0]]
    words = [name for name, _ in tag_images(saved, vector, 8, True, 50_000)[0]]
    assert shown.tags == [*classes, *words]
    assert sorted(classes) == sorted(COLOURS)
    assert len(shown.captions) == 6
    assert shown.image is not None
    np.testing.assert_allclose(mean_colour(shown.image), COLOURS["boat"], atol=12)


def test_words_and_a_image_are_asked_together(page: Page, images: Path) -> None:
    shown = page.ask("tiger", images / "boat" / "03.png")
    assert "03.png and tiger" in shown.told
    assert shown.captions not in (
        page.ask("tiger").captions,
        page.ask(image=images / "boat" / "03.png").captions,
    )


def test_no_question_is_no_error(page: Page) -> None:
    shown = page.ask("  ")
    assert "problem" not in shown.told
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
    assert 'class="problem"' in shown.told
    assert said in shown.told
    assert "<b>" not in shown.told
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
    [(bomb(), "too large"), (b"no image", "not a picture"), (b"", "not a picture"),
     (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture")],
)  # fmt: skip
def test_a_image_that_cannot_be_opened_is_one_line_on_the_page(
    page: Page, tmp_path: Path, content: bytes, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "upload.png").write_bytes(content)
    shown = page.ask(image=tmp_path / "upload.png")
    assert 'class="problem"' in shown.told
    assert f"upload.png: {said}" in shown.told
    assert "/" not in shown.told.replace("</p>", "")  # no path of the server's
    assert shown.captions == []
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_file_that_is_too_large_is_refused_as_it_is_sent(page: Page) -> None:
    status, said = page.upload(b"\0" * (MAX_UPLOAD + 1))
    assert status == 413
    assert b"maximum allowed size" in said
    assert page.upload(b"small")[0] == 200


# What the server gives away


def test_no_other_file_can_be_read(page: Page, saved: Run, images: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes((images / "cat" / "00.png").read_bytes())
    secret, config = tmp_path / "secret.png", saved.folder.path / "config.yaml"
    for path in (secret, config, images / "cat/00.png", Path("pyproject.toml").absolute()):
        assert page.get(f"gradio_api/file={path}")[0] in (403, 404)
    sent = json.loads(page.upload(secret.read_bytes())[1])[0]
    assert "event: complete" in page.search_by_path(sent)
    assert "event: error" in page.search_by_path(str(secret))
    with pytest.raises(AppError):
        page.ask("cat", gallery=str(tmp_path))


@pytest.mark.parametrize("path", ["file=http://example.com/a.png", "proxy=http://example.com/"])
def test_the_server_fetches_nothing_for_others(page: Page, path: str) -> None:
    assert page.get(f"gradio_api/{path}") == (403, b"refused")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        page.search_by_path("http://example.com/a.png")


def test_another_sites_page_can_leave_nothing_here(page: Page) -> None:
    for origin, expected in (("http://example.com", 403), (page.url.rstrip("/"), 200)):
        assert page.upload(b"small", {"Origin": origin})[0] == expected


def test_only_this_machine_is_answered_and_the_browser_is_held_to_it(page: Page) -> None:
    port = page.url.rstrip("/").rsplit(":", 1)[1]
    assert page.get("", host="example.com")[0] == 403
    assert page.get("", host=f"localhost:{port}")[0] == 200
    with urllib.request.urlopen(page.url) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        html = answer.read().decode()
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](?:https?:)?//", html)


def test_what_it_was_sent_is_removed_at_the_end(saved: Run, images: Path) -> None:
    before = dict(os.environ)
    with serving(saved) as url:
        place = Path(os.environ["GRADIO_TEMP_DIR"])
        Page(url).ask(image=images / "boat" / "03.png")
        assert list(place.rglob("03.png"))
    assert not place.exists()
    assert dict(os.environ) == before


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
