"""Images inside an HTML page, so that the page needs no other file."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def data_uri(image: Image, quality: int) -> str:
    """Write an image as the source of an <img> element.

    Args:
        image: An RGB image.
        quality: That of JPEG, 0 to 95.

    Returns:
        A data URI with the JPEG file in it.
    """
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
