"""Mutated image files, read as a scan, an extraction and a search read them."""

from __future__ import annotations

import io
import random
from pathlib import Path

from PIL import Image

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO")


def make(folder: Path, random: random.Random, number: int) -> str:
    """Write the image file of a case.

    Args:
        folder: Gets one file.
        random: Decides everything.
        number: Of the case.

    Returns:
        The sort of case.
    """
    kind = FORMATS[number % len(FORMATS)]
    size = (random.randint(1, 80), random.randint(1, 80))
    image = Image.frombytes("RGB", size, random.randbytes(3 * size[0] * size[1]))
    stream = io.BytesIO()
    image.save(stream, kind)
    content = bytearray(stream.getvalue())
    for _ in range(random.randint(1, 8)):
        content[random.randrange(len(content))] = random.randrange(256)
    (folder / f"image.{kind.lower()}").write_bytes(content)
    return "bytes changed"


def read(folder: Path) -> str:
    """Open the image as a search does.

    Args:
        folder: Of `make`.

    Returns:
        The size.
    """
    from devise_exp.data.decoding import open_image

    [path] = folder.iterdir()
    image = open_image(path)
    assert image.mode == "RGB"
    return f"{image.width} x {image.height}"
