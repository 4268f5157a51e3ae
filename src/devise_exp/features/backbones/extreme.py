"""Resizing images of an extreme aspect, such as 65,000 × 1, in little memory."""

from __future__ import annotations

from PIL import Image

# The longer side by the shorter one: up to here an image is resized whole, and at 600 pixels (the
# largest input of a usual network) takes under 50 MB.
EXTREME = 32


def is_extreme(image: Image.Image) -> bool:
    """Tell an image that would be huge with its shorter side at a network's size.

    Args:
        image: Any image.

    Returns:
        Whether its longer side is more than EXTREME times its shorter one.
    """
    return max(image.size) > EXTREME * min(image.size)


def resized_centre(
    image: Image.Image, side: int, crop: int, resample: Image.Resampling
) -> Image.Image:
    """Resize only the part of an image that a centre crop will keep.

    Args:
        image: Any image.
        side: Pixels of its shorter side, if the whole were resized.
        crop: Side of the central square in pixels.
        resample: The filter.

    Returns:
        What is left by resizing the whole and cropping, to the error of resampling: (crop, crop)
        or, along a side that is resized to less, this side.
    """
    shorter = min(image.size)
    whole = [int(side * length / shorter) for length in image.size]
    sides = [min(crop, length) for length in whole]
    # As torchvision's center_crop rounds.
    starts = [round((length - kept) / 2) for length, kept in zip(whole, sides, strict=True)]
    scales = [length / full for length, full in zip(image.size, whole, strict=True)]
    left, top = (start * scale for start, scale in zip(starts, scales, strict=True))
    right, bottom = (
        min(length, (start + kept) * scale)
        for length, start, kept, scale in zip(image.size, starts, sides, scales, strict=True)
    )
    return image.resize((sides[0], sides[1]), resample, box=(left, top, right, bottom))


def resized_exactly(
    image: Image.Image, height: int, width: int, resample: Image.Resampling
) -> Image.Image:
    """Resize an image whatever its aspect, its longer side first.

    Pillow begins with the width, so a tall image would first become wide and stay as tall.

    Args:
        image: Any image.
        height: In pixels.
        width: In pixels.
        resample: The filter.

    Returns:
        The image in this size.
    """
    if image.height > image.width:
        image = image.resize((image.width, height), resample)
    return image.resize((width, height), resample)
