"""From an image of any mode and size to upright 8-bit RGB."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import ExifTags, Image

FULL_SIZE = 2**28 // 3  # pixels, Pillow's own limit; larger images are returned at a reduced size
TILE = 4096  # pixels; a side of what is converted at once, divisible by every factor
BITS = (8, 10, 12, 14, 16, 20, 24, 32)  # that cameras, scanners and microscopes give
_METHODS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTED = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # where it is written

ToRGB = Callable[[Image.Image], Image.Image]


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to upright 8-bit RGB.

    Whole numbers of more than 8 bits are scaled by the fewest bits of BITS that hold the largest
    of them, since a file of 16 bits often holds 12. The cost of this rule: an image that uses less
    than a quarter of its range is seen brighter than it is. Negative and real numbers are
    stretched from the least to the largest.

    Args:
        image: Any image: EXIF turns it, transparency is put on white, and one of more than
            FULL_SIZE pixels is scaled down by a power of two.

    Returns:
        The image in mode RGB.
    """
    image.load()
    method = _METHODS.get(_orientation(image))
    pixels = _converted(image, reduction(image.size))
    upright = pixels if method is None else pixels.transpose(method)
    for key in _ORIENTED:  # or the next reader would turn it again
        upright.info.pop(key, None)
    return upright


def reduction(size: tuple[int, int]) -> int:
    """Choose by what a large image is scaled down.

    Args:
        size: Width and height in pixels.

    Returns:
        The least power of two that leaves FULL_SIZE pixels or fewer; 1 for most images.

    Example:
        >>> reduction((4000, 3000)), reduction((16320, 12240))
        (1, 2)
    """
    factor = 1
    while -(-size[0] // factor) * -(-size[1] // factor) > FULL_SIZE:
        factor *= 2
    return factor


def scale_down(image: Image.Image, draft: tuple[int, int] | None) -> bool:
    """Let a JPEG be decoded at a reduced size.

    Args:
        image: An image that is not decoded yet.
        draft: The size in pixels that suffices; None: the full one.

    Returns:
        Whether its format can do so; then it is done if the image is large, or for `draft`.
    """
    factor = reduction(image.size)
    if draft is None and factor == 1:
        return False
    width, height = (max(1, side // factor) for side in image.size)
    needed = (min(width, draft[0]), min(height, draft[1])) if draft else (width, height)
    return image.draft(None, needed) is not None


def scaled(values: np.ndarray) -> np.ndarray:
    """Scale whole numbers to 8 bits.

    Args:
        values: Of any shape, none of them negative.

    Returns:
        uint8 of the same shape.
    """
    return _scaled(values, int(values.max(initial=0)))


def _scaled(values: np.ndarray, largest: int) -> np.ndarray:
    bits = next(bits for bits in BITS if largest < 2**bits)
    return np.asarray((values / ((2**bits - 1) / 255)).round(), dtype=np.uint8)


def _orientation(image: Image.Image) -> int:
    """Orientation by EXIF; 1, upright, if there is none or it cannot be read."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken metadata meet with nearly any exception, and the pixels are good
        return 1


def _converted(image: Image.Image, factor: int) -> Image.Image:
    """The image in RGB, scaled down; a tile at a time, as conversions need several copies."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.reduce(factor)
    to_rgb = _conversion(image)
    if max(image.size) <= TILE:
        return to_rgb(image)
    width, height = (-(-side // factor) for side in image.size)
    result = Image.new("RGB", (width, height))
    for left, top, tile in _tiles(image):
        rgb = to_rgb(tile)
        result.paste(rgb.reduce(factor) if factor > 1 else rgb, (left // factor, top // factor))
    return result


def _tiles(image: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield the left and top side of each tile, and the tile."""
    for top in range(0, image.height, TILE):
        for left in range(0, image.width, TILE):
            right, bottom = min(left + TILE, image.width), min(top + TILE, image.height)
            yield left, top, image.crop((left, top, right, bottom))


def _conversion(image: Image.Image) -> ToRGB:
    """How the mode of an image becomes RGB."""
    if image.mode.startswith("I"):
        return _whole_numbers(image)
    if image.mode == "F":
        return _stretched(*_extremes(image))
    if image.mode == "LAB":
        return _from_lab()
    return _opaque


def _opaque(image: Image.Image) -> Image.Image:
    """Put transparency on white."""
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        image = Image.alpha_composite(white, layered)
    return image if image.mode == "RGB" else image.convert("RGB")


def _whole_numbers(image: Image.Image) -> ToRGB:
    """Scale whole numbers of more than 8 bits, which convert() would clip."""
    lowest, highest = _extremes(image)
    if lowest < 0:
        return _stretched(lowest, highest)
    transparent = image.info.get("transparency")

    # A table is far quicker than a division, where there are many pixels of few values.
    table = _scaled(np.arange(int(highest) + 1), int(highest)) if highest < 2**16 else None

    def to_rgb(part: Image.Image) -> Image.Image:
        values = np.asarray(part)
        grey = _scaled(values, int(highest)) if table is None else table[values]
        if isinstance(transparent, int):
            grey[values == transparent] = 255
        return Image.fromarray(grey).convert("RGB")

    return to_rgb


def _stretched(lowest: float, highest: float) -> ToRGB:
    """Stretch numbers from the lowest to the highest; what is not a number is the lowest."""
    spread = max(highest - lowest, float(np.finfo(np.float32).tiny))

    def to_rgb(part: Image.Image) -> Image.Image:
        values = np.asarray(part, dtype=np.float64)
        values = np.clip(np.nan_to_num(values, nan=lowest), lowest, highest)
        return Image.fromarray(np.uint8(255 * (values - lowest) / spread)).convert("RGB")

    return to_rgb


def _extremes(image: Image.Image) -> tuple[float, float]:
    """The lowest and the highest finite number of an image of one channel; 0 if there is none."""
    lowest, highest = np.inf, -np.inf
    for _, _, tile in _tiles(image):
        values = np.asarray(tile)
        finite = values[np.isfinite(values)]
        if finite.size:
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
    return (lowest, highest) if lowest <= highest else (0.0, 0.0)


def _from_lab() -> ToRGB:
    """Convert CIE Lab, which convert() does not."""
    from PIL import ImageCms

    profiles = (ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"))
    transform = ImageCms.buildTransform(*profiles, "LAB", "RGB")

    def to_rgb(part: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(part, transform)
        assert converted is not None
        return converted

    return to_rgb
