"""Images: opened as RGB on access, and checked once, before anything relies on them."""

from __future__ import annotations

import io
import json
import os
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, SupportsIndex, overload

import numpy as np
import PIL
from PIL import Image, ImageOps

from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, cache_dir, file_lock, fingerprint

LARGEST_FILE = 2**30  # bytes; a file is read whole, and none of the allowed pixel count is larger
UNREADABLE = "cannot be read"


class ImageFiles(Sequence[Image.Image]):
    """Image files, opened as RGB on access; no file stays open, so the sequence pickles.

    Args:
        paths: The files.
        min_side: Pixels that the shorter side of a JPEG keeps; larger JPEGs are decoded at a half,
            a quarter or an eighth of their size. None: at full size.
    """

    def __init__(self, paths: Iterable[str], min_side: int | None = None) -> None:
        self.paths, self.min_side = tuple(paths), min_side

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Image.Image | ImageFiles:
        if isinstance(index, slice):
            return ImageFiles(self.paths[index], self.min_side)
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                if self.min_side is not None:
                    image.draft(None, (self.min_side, self.min_side))
                return as_rgb(image)
        except OSError as error:
            raise InputError(
                f"{path}: the image could be opened when the dataset was scanned but not now "
                f"({error.strerror or error}); restore it or start again without it"
            ) from error

    def take(self, indices: Iterable[int]) -> ImageFiles:
        """Select images.

        Args:
            indices: Their positions.

        Returns:
            The images in this order.
        """
        return ImageFiles((self.paths[index] for index in indices), self.min_side)

    def reduced(self, min_side: int) -> ImageFiles:
        """Decode JPEGs at a reduced size.

        Args:
            min_side: Pixels that the shorter side keeps.

        Returns:
            The same files.
        """
        return ImageFiles(self.paths, min_side)


class ImageArrays(Sequence[Image.Image]):
    """Images in memory.

    Args:
        arrays: (N, height, width, 3) uint8.
    """

    def __init__(self, arrays: np.ndarray) -> None:
        if arrays.ndim != 4 or arrays.shape[3] != 3 or arrays.dtype != np.uint8:
            raise ValueError(f"images of shape {arrays.shape} and type {arrays.dtype}")
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> ImageArrays: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Image.Image | ImageArrays:
        chosen = self.arrays[index]
        return ImageArrays(chosen) if isinstance(index, slice) else Image.fromarray(chosen)

    def take(self, indices: Iterable[int]) -> ImageArrays:
        """Select images.

        Args:
            indices: Their positions.

        Returns:
            The images in this order.
        """
        return ImageArrays(self.arrays[list(indices)])


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to upright 8-bit RGB.

    Args:
        image: Any image: EXIF turns it, 16 bits are scaled, transparency is put on white.

    Returns:
        The image in mode RGB.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # convert() would clip all but the darkest of 16 bits to white
        grey = np.clip(np.asarray(image, dtype=np.float64) / 257, 0, 255)
        image = Image.fromarray(grey.round().astype(np.uint8))
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        spread = max(float(np.ptp(values)), np.finfo(np.float32).tiny)
        image = Image.fromarray(np.uint8(255 * (values - values.min()) / spread))
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        image = Image.alpha_composite(white, layered)
    return image if image.mode == "RGB" else image.convert("RGB")


def open_image(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Open an image as upright RGB.

    Args:
        source: The file, or its bytes.
        name: What errors call the image; None: its path.

    Returns:
        The image.

    Raises:
        InputError: If it cannot be read, is not an image, is damaged or too large.
    """
    content = source if isinstance(source, bytes) else _read_whole(source)
    if isinstance(content, bytes) and len(content) > LARGEST_FILE:
        content = f"too large: {len(content):,} bytes"
    with _strict_decoding():
        image = content if isinstance(content, str) else _decode(content)
    if isinstance(image, str):
        title = name or ("the image" if isinstance(source, bytes) else str(source))
        raise InputError(f"{title}: {image}: give another image file")
    return image


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
    """

    fingerprint: str
    broken: dict[str, str]


def scan_images(files: dict[str, str]) -> ImageScan:
    """Read and decode every image once.

    The outcome is kept in the cache under the paths, sizes and times of the files (and the version
    of Pillow, which decides what decodes), so a later scan of them only asks for size and time.

    Args:
        files: Row name -> path.

    Returns:
        The fingerprint of the good images, and the broken ones.
    """
    memo = cache_dir() / "scans" / f"{fingerprint(PIL.__version__, _stamps(files))}.json"
    with file_lock(memo):
        stored = _stored_scan(memo)
        if stored is not None:
            return stored
        scan = _scan(files)
        # Permissions may change without size or time: look again the next time.
        if not any(reason.startswith(UNREADABLE) for reason in scan.broken.values()):
            with atomic_path(memo) as path:
                path.write_text(json.dumps(scan._asdict()), encoding="utf-8")
    return scan


def _stamps(files: dict[str, str]) -> Iterator[bytes]:
    """Yield what changes with a file: its path, size and time."""
    for row in sorted(files):
        try:
            status = Path(files[row]).stat()
            yield os.fsencode(Path(files[row]).absolute())
            yield f"\0{row}\0{status.st_size} {status.st_mtime_ns}\n".encode()
        except OSError:
            yield f"{row}\0missing\n".encode()


def _stored_scan(memo: Path) -> ImageScan | None:
    """Read a stored scan; None if there is none, or it is damaged."""
    try:
        return ImageScan(**json.loads(memo.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _scan(files: dict[str, str]) -> ImageScan:
    """Read and decode the files with as many threads as there are cores."""
    rows, good, broken = sorted(files), [], {}
    with (
        _strict_decoding(),
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress() as bar,
    ):
        task = bar.add_task(f"scanning {len(rows):,} images", total=len(rows))
        for start in range(0, len(rows), 512):  # a block at a time: map() queues all
            block = rows[start : start + 512]
            checked = pool.map(_content_or_reason, (files[row] for row in block))
            for row, outcome in zip(block, checked, strict=True):
                if isinstance(outcome, bytes):
                    good.append((row, outcome))
                else:
                    broken[row] = outcome
                bar.advance(task)
    return ImageScan(images_fingerprint(good), broken)


def _content_or_reason(path: str) -> bytes | str:
    """Return the hash of the image's bytes, or why it cannot be used."""
    content = _read_whole(Path(path))
    if isinstance(content, str):
        return content
    image = _decode(content, draft=(64, 64))  # still read to its end, but at an eighth the size
    return image if isinstance(image, str) else bytes.fromhex(fingerprint(content))


def _read_whole(path: Path) -> bytes | str:
    """Return the file's bytes, or why they cannot be used."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return f"{UNREADABLE}: not a file"
        if status.st_size > LARGEST_FILE:
            return f"too large: {status.st_size:,} bytes"
        return path.read_bytes()
    except OSError as error:
        return f"{UNREADABLE}: {error.strerror}"


def _decode(content: bytes, draft: tuple[int, int] | None = None) -> Image.Image | str:
    """Return the RGB image, a JPEG at no less than the size `draft`, or why it cannot be used."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            if draft:
                image.draft("RGB", draft)
            return as_rgb(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"too large: over {Image.MAX_IMAGE_PIXELS:,} pixels"
    except PIL.UnidentifiedImageError:
        return "not an image that Pillow can open"
    except MemoryError:
        raise
    except Exception as error:  # decoders meet damaged bytes with nearly any exception
        return f"damaged: {' '.join(str(error).split())}"


@contextmanager
def _strict_decoding() -> Iterator[None]:
    """Raise on decompression bombs, and ignore other warnings of decoders."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
