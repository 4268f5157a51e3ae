"""Decode one image file to upright RGB, or say why it cannot be used."""

from __future__ import annotations

import io
import math
import stat
import warnings
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps

from devise_exp.core.errors import InputError

LARGEST_FILE = 2**30  # bytes; a file is read whole, and none of the allowed pixel count is larger
UNREADABLE = "cannot be read"
# decode() refuses what Pillow only warns of.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


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
    content = source if isinstance(source, bytes) else read_whole(source)
    if isinstance(content, bytes) and len(content) > LARGEST_FILE:
        content = f"too large: {len(content):,} bytes"
    image = content if isinstance(content, str) else decode(content)
    if isinstance(image, str):
        title = name or ("the image" if isinstance(source, bytes) else str(source))
        raise InputError(f"{title}: {image}: give another image file")
    return image


def read_whole(path: Path) -> bytes | str:
    """Read an image file.

    Args:
        path: The file.

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
    except OSError as error:
        return f"{UNREADABLE}: {error.strerror}"


def decode(content: bytes, draft: tuple[int, int] | None = None) -> Image.Image | str:
    """Decode the bytes of an image file.

    Args:
        content: The bytes.
        draft: The size in pixels that suffices of a JPEG, which is then faster to decode.

    Returns:
        The upright RGB image, or why it cannot be used.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            # Up to twice the limit Pillow only warns, and a warning filter is no thread's alone.
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise Image.DecompressionBombError
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
