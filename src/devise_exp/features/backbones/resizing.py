"""Resize and crop the centre, computing only what the crop keeps, to the bits of doing both."""

from __future__ import annotations

import math
from typing import NamedTuple

from PIL import Image

SUPPORT = {  # pixels to either side that a filter looks at, of an image that does not shrink
    Image.Resampling.BILINEAR: 1,
    Image.Resampling.BICUBIC: 2,
    Image.Resampling.LANCZOS: 3,
}
FILTERS = {resample.name.lower(): resample for resample in SUPPORT}  # by torchvision's names
# Pillow has the corners of a region as float32, which hold whole numbers up to here.
EXACT = 2**24


class _Axis(NamedTuple):
    """Resizing `length` pixels to `resized`, of which `crop` are kept from `start` on."""

    length: int
    resized: int
    crop: int

    @property
    def start(self) -> int:
        return round((self.resized - self.crop) / 2)

    @property
    def is_exact(self) -> bool:
        """Whether a pixel's corners in the image have no rounding error, as those of 3/4 or 5/8."""
        denominator = self.resized // math.gcd(self.length, self.resized)
        power_of_two = denominator & (denominator - 1) == 0
        return power_of_two and self.length * self.resized < EXACT

    @property
    def span(self) -> tuple[float, float]:
        """Corners of the crop in pixels of the image."""
        scale = self.length / self.resized
        return self.start * scale, (self.start + self.crop) * scale

    def needed(self, support: int) -> tuple[int, int]:
        """First and last pixel of the image that the crop depends on, and some more."""
        margin = math.ceil(support * max(1.0, self.length / self.resized)) + 2
        low, high = self.span
        return max(0, int(low) - margin), min(self.length, math.ceil(high) + margin)


def resized_size(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Scale (width, height) so that the shorter is so many pixels.

    Args:
        size: Of the image.
        shorter: Pixels of the shorter side.

    Returns:
        (width, height); the longer one is rounded down.
    """
    width, height = size
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def resized_and_cropped(
    image: Image.Image, shorter: int, crop: int, resample: Image.Resampling
) -> Image.Image:
    """Resize so that the shorter side is `shorter`, and crop the centre.

    An image is resized along its rows, then along its columns, with 8 bits in between. Columns of
    the result do not depend on one another, nor do rows of the first step, so both are computed for
    the crop alone, as far as float32 says where it begins.

    Args:
        image: An RGB image.
        shorter: Pixels of the shorter side of the resized image, at least `crop`.
        crop: Side of the central square in pixels.
        resample: A filter of SUPPORT.

    Returns:
        (crop, crop), the same bits as of the whole image, resized and then cropped.
    """
    width, height = resized_size(image.size, shorter)
    across, down = _Axis(image.width, width, crop), _Axis(image.height, height, crop)
    top, bottom = down.needed(SUPPORT[resample]) if down.is_exact else (0, image.height)
    strip = (
        image if (top, bottom) == (0, image.height) else image.crop((0, top, image.width, bottom))
    )
    rows = strip.height
    if across.is_exact:
        left, right = across.span
        strip = strip.resize((crop, rows), resample, (left, 0, right, rows))
    else:
        strip = strip.resize((width, rows), resample)
        strip = strip.crop((across.start, 0, across.start + crop, rows))
    if down.is_exact:
        low, high = down.span
        return strip.resize((crop, crop), resample, (0, low - top, crop, high - top))
    strip = strip.resize((crop, height), resample)
    return strip.crop((0, down.start, crop, down.start + crop))
