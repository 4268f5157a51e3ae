"""Read every image once, before anything relies on them; the outcome is cached."""

from __future__ import annotations

import base64
import json
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image

from devise_exp.core.console import progress
from devise_exp.core.files import cache_dir, encoded, file_lock, fingerprint, write_text
from devise_exp.data.decoding import MAX_PIXELS, UNREADABLE, decode, read_whole
from devise_exp.data.file_kinds import heif_support
from devise_exp.data.packed_files import image_stamp
from devise_exp.data.perceptual_hash import LOOK_BYTES, look_of
from devise_exp.data.system_files import RAW

VERSION = "4"  # of what a stored scan holds, and of which files can be decoded
_ONE_LARGE = threading.Lock()  # memory is bounded although as many are decoded as there are cores


def images_fingerprint(contents: Iterable[tuple[str, bytes]]) -> str:
    """Hash rows and their contents, in whatever order they come.

    Args:
        contents: (row name, content hash) pairs.

    Returns:
        The fingerprint.
    """
    return fingerprint(encoded(row) + b"\0" + content for row, content in sorted(contents))


class ImageScan(NamedTuple):
    """The outcome of reading every image once.

    Attributes:
        fingerprint: Of the rows and contents of the good images.
        broken: Row name -> why the image cannot be used.
        contents: Hash of the decoded pixels of the good images, in the order of their row names:
            the same for copies of one image, whatever else their files hold.
        looks: (n, 72) uint8, how they look, see perceptual_hash.
    """

    fingerprint: str
    broken: dict[str, str]
    contents: tuple[str, ...]
    looks: np.ndarray

    def to_json(self) -> str:
        """Write the scan.

        Returns:
            JSON; contents and looks are one text each, for there may be a million.
        """
        looks = base64.b64encode(self.looks.tobytes()).decode()
        return json.dumps(self._asdict() | {"contents": " ".join(self.contents), "looks": looks})

    @classmethod
    def from_json(cls, text: str) -> ImageScan:
        """Read what to_json gave.

        Args:
            text: The JSON.

        Returns:
            The scan. A wrong text raises ValueError, KeyError, TypeError or AttributeError.
        """
        content = json.loads(text)
        contents = tuple(content["contents"].split())
        looks = np.frombuffer(base64.b64decode(content["looks"]), np.uint8)
        looks = looks.reshape(len(contents), LOOK_BYTES)
        return cls(content["fingerprint"], content["broken"], contents, looks)


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
            write_text(memo, scan.to_json())
    return scan


def is_image(path: str) -> bool:
    """Tell whether a file is a good image.

    Args:
        path: The file.

    Returns:
        Whether it can be read and decoded.
    """
    with _quiet_decoding():
        return not isinstance(_check(path, MAX_PIXELS), str)


def _stamps(files: dict[str, str]) -> Iterator[bytes]:
    """Yield what changes with a file: its path, size and time."""
    for row in sorted(files):
        path = Path(files[row])
        if stamp := image_stamp(path):
            yield os.fsencode(path.absolute())
            yield encoded(f"\0{row}\0{stamp}\n")
        else:
            yield encoded(f"{row}\0missing\n")


def _stored_scan(memo: Path) -> ImageScan | None:
    """Read a stored scan; None if there is none, or it is damaged."""
    try:
        return ImageScan.from_json(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _scan(files: dict[str, str], max_pixels: int) -> ImageScan:
    """Read and decode the files with as many threads as there are cores."""
    rows = sorted(files)
    good: list[tuple[str, _Good]] = []
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
            checked = pool.map(lambda path: _check(path, max_pixels), paths)
            for row, outcome in zip(block, checked, strict=True):
                if isinstance(outcome, _Good):
                    good.append((row, outcome))
                else:
                    broken[row] = outcome
                bar.advance(task)
    return ImageScan(
        images_fingerprint((row, image.file) for row, image in good),
        broken,
        tuple(image.pixels for _, image in good),
        np.array([image.look for _, image in good], np.uint8).reshape(-1, LOOK_BYTES),
    )


class _Good(NamedTuple):
    """A good image: the hash of its file's bytes, that of its pixels, and its look."""

    file: bytes
    pixels: str
    look: np.ndarray


def _check(path: str, max_pixels: int) -> _Good | str:
    """Return what is kept of an image, or why it cannot be used."""
    if Path(path).suffix.lower() in RAW:  # Pillow may open the thumbnail within
        return "a raw photograph: develop it as JPEG, PNG or TIFF"
    content = read_whole(Path(path))
    if isinstance(content, str):
        return content
    # With a draft it is still read to its end, but at an eighth the size.
    image = decode(content, draft=(64, 64), max_pixels=max_pixels, when_large=_ONE_LARGE)
    if isinstance(image, str):
        return image
    pixels = fingerprint(repr(image.size), _strips(image))
    return _Good(bytes.fromhex(fingerprint(content)), pixels, look_of(image))


def _strips(image: Image.Image) -> Iterator[bytes]:
    """Yield the pixels of an image from above, without a copy of all of a large one."""
    for top in range(0, image.height, 256):
        yield image.crop((0, top, image.width, min(top + 256, image.height))).tobytes()


@contextmanager
def _quiet_decoding() -> Iterator[None]:
    """Ignore the warnings of decoders in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
