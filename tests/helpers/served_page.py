"""The page of `devise-exp app`, asked over HTTP as a browser asks it."""

from __future__ import annotations

import io
import json
import re
import urllib.error
import urllib.request
from html import unescape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image


class Shown(NamedTuple):
    """What the page shows: the line above, tags and the line below them, captions and addresses of
    images.
    """

    line: str
    tags: list[str]
    note: str
    image: str | None
    captions: list[str]
    images: list[str]


class Page:
    """A served page and its address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client(url, verbose=False, download_files=False, analytics_enabled=False)

    def ask(
        self,
        text: str = "",
        image: Path | None = None,
        gallery: str = "all",
        k: int = 6,
        calibrated: bool = True,
        space: str = "devise",
    ) -> Shown:
        """What the page shows for a query."""
        file = None if image is None else handle_file(str(image))
        values = (text, file, gallery, k, calibrated, space)
        line, tags, asked, hits = self.client.predict(*values, api_name="/search")
        assert len(line.splitlines()) == 1
        return Shown(
            line,
            [unescape(tag) for tag in re.findall(r"<li>(.*?) <b>", tags)],
            unescape("".join(re.findall(r'<p class="note">(.*?)</p>', tags))),
            asked["value"] and asked["value"]["url"],
            [hit["caption"] for hit in hits],
            [hit["image"]["url"] for hit in hits],
        )

    def get(self, path: str, host: str | None = None) -> tuple[int, bytes]:
        """Status and body of a GET request."""
        request = urllib.request.Request(
            f"{self.url}{path}", headers={"Host": host} if host else {}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def upload(self, content: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of an upload."""
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

    def post(self, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """Status and body of the answer to a post."""
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def search_by_path(self, path: str) -> str:
        """What the server says to a question that names a file of its own."""
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        address = f"{self.url}gradio_api/call/search"
        body = json.dumps({"data": ["", file, "all", 3, True, "devise"]}).encode()
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)["event_id"]
        with urllib.request.urlopen(f"{address}/{event}") as answer:
            said: str = answer.read().decode()
        return said


def mean_colour(url: str) -> np.ndarray:
    """(3,) the mean colour of an image of the page."""
    with urllib.request.urlopen(url) as answer:
        image = Image.open(io.BytesIO(answer.read()))
    return np.asarray(image.convert("RGB"), dtype=float).mean(axis=(0, 1))
