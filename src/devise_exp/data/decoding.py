"""Decode one image file to upright RGB, or say why it cannot be used."""

from __future__ import annotations

import io
import stat
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image, ImageFile

from devise_exp.core.errors import InputError
from devise_exp.data.deep_colours import with_all_bits
from devise_exp.data.file_kinds import add_heif, file_kind
from devise_exp.data.packed_files import read_packed
from devise_exp.data.png_chunks import is_png, without_metadata
from devise_exp.data.rgb import FULL_SIZE, as_rgb, scale_down

LARGEST_FILE = 2**30  # bytes; a file is read whole
MAX_PIXELS = 2**28  # 268,435,456: photographs of 200 megapixels, at 1 GiB of memory
# These formats are decoded in buffers of their libraries, which hold the image several times.
WHOLE = frozenset(("WEBP", "AVIF", "HEIF", "JPEG2000", "ICNS", "ICO"))
LARGE = 2**25  # pixels from which images are decoded one at a time
UNREADABLE = "cannot be read"
# A drawing's program is not run, and of the others Pillow only knows the names.
NOT_DECODED = {"EPS": "a PostScript drawing", "WMF": "a Windows drawing", "MPEG": "a video"}
_PILLOW_LIMIT = threading.Lock()
# decode() refuses what Pillow only warns of, and says nothing about metadata.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


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
    content = source if isinstance(source, bytes) else read_whole(source)
    if isinstance(content, bytes) and len(content) > LARGEST_FILE:
        content = f"too large: {len(content):,} bytes"
    image = content if isinstance(content, str) else decode(content)
    if isinstance(image, str):
        title = name or ("the image" if isinstance(source, bytes) else str(source))
        raise InputError(f"{title}: {image}: give another image file")
    return image


def read_whole(path: Path) -> bytes | str:
    """Read an image file, or an image inside a larger file.

    Args:
        path: The file, or as of packed_files.

    Returns:
        Its bytes, or why they cannot be used.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return f"{UNREADABLE}: not a file"
        if status.st_size > LARGEST_FILE:
            return f"too large: {status.st_size:,} bytes"
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return read_packed(str(path), LARGEST_FILE)
    except OSError as error:
        return f"{UNREADABLE}: {error.strerror}"


def decode(
    content: bytes,
    draft: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
    when_large: AbstractContextManager[object] | None = None,
) -> Image.Image | str:
    """Decode the bytes of an image file.

    Memory: of an image with P pixels at most 24 P bytes if P is under `FULL_SIZE`, and for larger
    ones 10 P and 200 MB: Pillow keeps 4 P, decoders keep up to 6 P (16-bit TIFF in one strip,
    progressive JPEG). Larger ones are returned at a half, a quarter ... of their size, so that
    P is under `FULL_SIZE`. Formats that are decoded as a whole may have a third of max_pixels.

    Args:
        content: The bytes.
        draft: The size in pixels that suffices of a JPEG, which is then faster to decode.
        max_pixels: Images of more pixels are not decoded.
        when_large: Entered while an image of more than LARGE pixels is decoded; None: nothing.

    Returns:
        The upright RGB image, or why it cannot be used.
    """
    options = _Options(draft=draft, max_pixels=max_pixels, when_large=when_large or nullcontext())
    try:
        return _with_limit(content, options)
    except MemoryError:
        raise
    except Exception as error:
        if not is_png(content) or isinstance(error, Image.DecompressionBombError):
            return _reason(error, content, max_pixels)
    # Text, profiles and times are not needed, and libpng would only warn of their faults.
    try:
        return _with_limit(without_metadata(content), options)
    except MemoryError:
        raise
    except Exception as error:  # decoders meet damaged bytes with nearly any exception
        return _reason(error, content, max_pixels)


def is_drafted(content: bytes, draft: tuple[int, int]) -> bool:
    """Tell whether `decode` would give an image at less than its size.

    Args:
        content: The bytes of an image file.
        draft: The size in pixels that suffices.

    Returns:
        Whether it would; False if it is no image.
    """
    try:
        with _opened(content) as image:
            size = image.size
            scale_down(image, draft)
            return image.size != size
    except Exception:  # decode() says why
        return False


@dataclass(frozen=True)
class _Options:
    """How to decode, as `decode` describes it."""

    draft: tuple[int, int] | None
    max_pixels: int
    when_large: AbstractContextManager[object]


def _with_limit(content: bytes, options: _Options) -> Image.Image | str:
    """Decode with our limit of pixels instead of Pillow's."""
    try:
        return _decode(content, options)
    except Image.DecompressionBombError:
        # Pillow's limit belongs to the process and guards images within images too, so it is
        # lifted to ours, for as long as it takes and for one image at a time.
        with _PILLOW_LIMIT:
            limit = Image.MAX_IMAGE_PIXELS
            Image.MAX_IMAGE_PIXELS = max(limit or 0, options.max_pixels // 2)
            try:
                return _decode(content, options)
            finally:
                Image.MAX_IMAGE_PIXELS = limit


def _decode(content: bytes, options: _Options) -> Image.Image | str:
    """Decode bytes; any exception says that they are damaged, or no image."""
    with _opened(content) as image:
        kind = str(image.format)
        if kind in NOT_DECODED or isinstance(image, ImageFile.StubImageFile):
            return _no_image(NOT_DECODED.get(kind, f"a file of the format {kind}"))
        pixels = image.width * image.height
        if pixels > (options.max_pixels // 3 if kind in WHOLE else options.max_pixels):
            return _too_large(options.max_pixels, kind)
        is_shrunk = scale_down(image, options.draft)
        is_large = pixels > (FULL_SIZE if is_shrunk else LARGE)
        with options.when_large if is_large else nullcontext():
            return as_rgb(with_all_bits(image, content))


def _opened(content: bytes) -> Image.Image:
    """Read the header of an image, in any format that Pillow opens."""
    try:
        return Image.open(io.BytesIO(content))
    except PIL.UnidentifiedImageError:
        if not add_heif(content):
            raise
        return Image.open(io.BytesIO(content))


def _too_large(max_pixels: int, kind: str = "") -> str:
    limit, share = max_pixels, ""
    if kind in WHOLE:
        limit, share = max_pixels // 3, f", of which {kind} may have a third"
    return f"too large: over {limit:,} pixels (data.max_pixels={max_pixels}{share})"


def _no_image(kind: str) -> str:
    return f"not an image that Pillow can open{f' ({kind})' if kind else ''}"


def _reason(error: Exception, content: bytes, max_pixels: int) -> str:
    """Say why bytes could not be decoded."""
    if isinstance(error, PIL.UnidentifiedImageError):
        return _no_image(file_kind(content))
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(max_pixels)
    return f"damaged: {' '.join(str(error).split())[:200] or type(error).__name__}"
