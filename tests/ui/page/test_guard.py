"""What the server of the page gives away, fetches and keeps."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.served_page import Page

from devise_exp.search.saved_run import Run
from devise_exp.ui.page.guard import is_loopback
from devise_exp.ui.page.page import serving


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


def test_no_other_file_can_be_read(page: Page, saved: Run, images: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes((images / "cat" / "00.png").read_bytes())
    secret, config = tmp_path / "secret.png", saved.folder.path / "config.yaml"
    for path in (secret, config, images / "cat/00.png", Path("pyproject.toml").absolute()):
        assert page.get(f"gradio_api/file={path}")[0] in (403, 404)
    sent = json.loads(page.upload(secret.read_bytes())[1])[0]
    assert "event: complete" in page.search_by_path(sent)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        page.search_by_path(str(secret))
    with pytest.raises(Exception, match="400"):
        page.ask("cat", gallery=str(tmp_path))


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            {"data": ["cat", None, "all", None, True, "devise"]},
            "the number of images is null: give a whole number",
        ),
        ({"data": ["cat", None, "all", "many", True, "devise"]}, 'the number of images is "many"'),
        (
            {"data": ["cat", None, "all", float("nan"), True, "devise"]},
            "the number of images is NaN",
        ),
        (
            {"data": ["cat", None, "all", float("inf"), True, "devise"]},
            "the number of images is Infinity",
        ),
        ({"data": ["cat", None, "all", 10**30, True, "devise"]}, "from 1 to 60"),
        ({"data": ["cat", None, "all", -3, True, "devise"]}, "the number of images is -3"),
        ({"data": ["cat", None, "all", 2.5, True, "devise"]}, "the number of images is 2.5"),
        ({"data": ["cat", None, "all", True, True, "devise"]}, "the number of images is true"),
        ({"data": [None, None, "all", 3, True, "devise"]}, "the words are null: give a text"),
        ({"data": [["cat"], None, "all", 3, True, "devise"]}, 'the words are ["cat"]'),
        ({"data": ["\ud800", None, "all", 3, True, "devise"]}, "half a character"),
        ({"data": ["cat", "/etc/passwd", "all", 3, True, "devise"]}, 'the image is "/etc/passwd"'),
        (
            {"data": ["cat", {"path": "/etc/passwd"}, "all", 3, True, "devise"]},
            "was not sent to this page",
        ),
        (
            {"data": ["cat", {"path": "a\0b"}, "all", 3, True, "devise"]},
            "was not sent to this page",
        ),
        ({"data": ["cat", {"path": 5}, "all", 3, True, "devise"]}, 'the image is {"path": 5}'),
        (
            {"data": ["cat", None, ["all"], 3, True, "devise"]},
            'the gallery ["all"]: choose among all, val',
        ),
        ({"data": ["cat", None, "/etc", 3, True, "devise"]}, 'the gallery "/etc"'),
        ({"data": ["cat", None, "all", 3, 1, "devise"]}, "calibrated is 1: give true or false"),
        (
            {"data": ["cat", None, "all", 3, True, "backbone"]},
            'the space "backbone": choose among devise',
        ),
        ({"data": ["cat", None, "all", 3]}, "the question needs six values"),
        (
            {"data": ["cat"]},
            "the question needs six values: send data, a list of the words, the image",
        ),
        ({"data": ["cat", None, "all", 3, True, "devise"], "fn_index": 9}, "fn_index"),
        ({}, "the question needs six values"),
        ([1], "the question needs six values"),
        (b"cat", "the question is not JSON"),
        (b"", "the question is not JSON"),
        (b"[" * 100_000, "the question is not JSON"),
    ],
)
@pytest.mark.parametrize("route", ["call/search", "queue/join"])
def test_a_post_that_is_no_question_is_one_line_for_both(
    page: Page, capfd: pytest.CaptureFixture[str], route: str, body: object, line: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, answer = page.post(f"gradio_api/{route}", content, "application/json")
    assert (status, answer.count(b"\n")) == (400, 0)
    assert line in json.loads(answer)["error"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [f"refused: {json.loads(answer)['error']}"]


def test_a_form_or_another_route_is_one_line_too(page: Page) -> None:
    assert page.post("gradio_api/call/search", b"data=cat", "text/plain")[0] == 400
    form = "application/x-www-form-urlencoded"
    assert page.post("gradio_api/call/search", b"data=cat&k=3", form)[0] == 400
    for route in ("gradio_api/call/other", "vibe-edit", "gradio_api/run-history/connect"):
        status, answer = page.post(route, b"{}", "application/json")
        assert (status, "nothing is posted there" in answer.decode()) == (400, True)


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
        base = Path(os.environ["GRADIO_TEMP_DIR"])
        Page(url).ask(image=images / "boat" / "03.png")
        assert list(base.rglob("03.png"))
    assert not base.exists()
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.0.0.2", True), ("[::1]", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback_hosts_are_those_of_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local
