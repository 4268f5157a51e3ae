"""Colours of 16 bits, of which Pillow keeps the upper 8."""

from __future__ import annotations

import io
import re
import sys

import numpy as np
from PIL import Image, ImageFile

from devise_exp.data.rgb import FULL_SIZE, scaled

_DEEP = re.compile(r"(RGB[Aa]?X?;16)([BLN])")  # how Pillow names the order of the bytes in a file


def with_all_bits(image: Image.Image, content: bytes) -> Image.Image:
    """Scale colours by the bits that they use, if these are 14 or fewer of 16.

    A file of 16 bits a channel often holds values of 12, of whose upper bytes Pillow makes a
    nearly black image. Read in the other byte order it has the lower bytes.

    Args:
        image: An image that is open, but not decoded.
        content: The bytes of its file.

    Returns:
        The image; or a new one with scaled colours if it is smaller than FULL_SIZE pixels.
    """
    if image.mode not in ("RGB", "RGBA") or image.width * image.height > FULL_SIZE:
        return image
    if not isinstance(image, ImageFile.ImageFile) or _other_order(image) is None:
        return image
    image.load()
    upper = np.asarray(image)
    if upper[..., :3].max(initial=0) >= 2**6:
        return image
    with Image.open(io.BytesIO(content)) as again:
        assert isinstance(again, ImageFile.ImageFile)
        again.tile = _other_order(again) or []
        lower = np.asarray(again)
    values = upper.astype(np.uint16) << 8 | lower
    channels = [scaled(values[..., :3])]
    if image.mode == "RGBA":
        channels.append(scaled(values[..., 3:]))
    deep = Image.fromarray(np.concatenate(channels, axis=-1))
    deep.info.update(image.info)
    return deep


def _other_order(image: ImageFile.ImageFile) -> list[ImageFile._Tile] | None:
    """What to decode, with its bytes in the other order; None if it has not 16 bits a colour."""
    tiles = []
    for tile in image.tile:
        name, *others = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        match = _DEEP.fullmatch(str(name))
        if match is None:
            return None
        order = match[2] if match[2] != "N" else sys.byteorder[0].upper()
        other = match[1] + ("B" if order == "L" else "L")
        tiles.append(tile._replace(args=(other, *others) if others else other))
    return tiles or None
