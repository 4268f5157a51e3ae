"""Read every image once, before anything relies on them; the outcome is cached."""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import PIL

from devise_exp.core.console import progress
from devise_exp.core.files import cache_dir, file_lock, file_stamp, fingerprint, write_text
from devise_exp.data.decoding import MAX_PIXELS, UNREADABLE, decode, read_whole
from devise_exp.data.file_kinds import heif_support

VERSION = "3"  # of what a stored scan holds, and of which files can be decoded
_ONE_LARGE = threading.Lock()  # memory is bounded although as many are decoded as there are cores


def images_fingerprint(contents: Iterable[tuple[str, bytes]]) -> str:
    """Hash rows and their contents, in whatever order they come.

    Args:
        contents: (row name, content hash) pairs.

    Returns:
        The fingerprint.
    """
    return fingerprint(row.encode() + b"\0" + content for row, content in sorted(contents))


class ImageScan(NamedTuple):
    """The outcome of reading every image once.

    Attributes:
        fingerprint: Of the rows and contents of the good images.
        broken: Row name -> why the image cannot be used.
        contents: Row name -> hash of the bytes of its file, of the good images.
    """

    fingerprint: str
    broken: dict[str, str]
    contents: dict[str, str]


def scan_images(files: dict[str, str], max_pixels: int = MAX_PIXELS) -> ImageScan:
    """Read and decode every image once.

    The outcome is kept in the cache under the paths, sizes and times of the files (and what decides
    which of them decode), so a later scan of them only asks for size and time.

    Args:
        files: Row name -> path.
        max_pixels: Larger images are broken.

    Returns:
        The fingerprint of the good images, and the broken ones.
    """
    decoder = f"{VERSION} {PIL.__version__} {heif_support()} {max_pixels}"
    memo = cache_dir() / "scans" / f"{fingerprint(decoder, _stamps(files))}.json"
    with file_lock(memo):
        stored = _stored_scan(memo)
        if stored is not None:
            return stored
        scan = _scan(files, max_pixels)
        # Permissions may change without size or time: look again the next time.
        if not any(reason.startswith(UNREADABLE) for reason in scan.broken.values()):
            write_text(memo, json.dumps(scan._asdict()))
    return scan


def _stamps(files: dict[str, str]) -> Iterator[bytes]:
    """Yield what changes with a file: its path, size and time."""
    for row in sorted(files):
        path = Path(files[row])
        if stamp := file_stamp(path):
            yield os.fsencode(path.absolute())
            yield f"\0{row}\0{stamp}\n".encode()
        else:
            yield f"{row}\0missing\n".encode()


def _stored_scan(memo: Path) -> ImageScan | None:
    """Read a stored scan; None if there is none, or it is damaged."""
    try:
        return ImageScan(**json.loads(memo.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _scan(files: dict[str, str], max_pixels: int) -> ImageScan:
    """Read and decode the files with as many threads as there are cores."""
    rows = sorted(files)
    good: list[tuple[str, bytes]] = []
    broken: dict[str, str] = {}
    with (
        _quiet_decoding(),
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress() as bar,
    ):
        task = bar.add_task(f"scanning {len(rows):,} images", total=len(rows))
        for start in range(0, len(rows), 512):  # a block at a time: map() queues all
            block = rows[start : start + 512]
            paths = (files[row] for row in block)
            checked = pool.map(lambda path: _content_or_reason(path, max_pixels), paths)
            for row, outcome in zip(block, checked, strict=True):
                if isinstance(outcome, bytes):
                    good.append((row, outcome))
                else:
                    broken[row] = outcome
                bar.advance(task)
    contents = {row: content.hex() for row, content in good}
    return ImageScan(images_fingerprint(good), broken, contents)


def _content_or_reason(path: str, max_pixels: int) -> bytes | str:
    """Return the hash of the image's bytes, or why it cannot be used."""
    content = read_whole(Path(path))
    if isinstance(content, str):
        return content
    # With a draft it is still read to its end, but at an eighth the size.
    image = decode(content, draft=(64, 64), max_pixels=max_pixels, when_large=_ONE_LARGE)
    return image if isinstance(image, str) else bytes.fromhex(fingerprint(content))


@contextmanager
def _quiet_decoding() -> Iterator[None]:
    """Ignore the warnings of decoders in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
