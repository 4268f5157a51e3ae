"""Names of files: one form on every file system, and the endings of images."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

from PIL import Image

# Images that Pillow opens only with a plugin.
_OTHER_IMAGES = frozenset((".heic", ".heif", ".jxl"))
# What Pillow knows but people keep for other things than images.
_DOCUMENTS = frozenset((".h5", ".hdf", ".pdf", ".ps", ".mpg", ".mpeg"))


def portable(name: str) -> str:
    """Write a file name in one form on every file system.

    Args:
        name: A file name, perhaps in decomposed Unicode form or with undecodable bytes.

    Returns:
        The name in composed form, with undecodable bytes escaped.
    """
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode("utf-8"))


@cache
def image_endings() -> frozenset[str]:
    """List the endings of names of images.

    Returns:
        The endings in lower case, with their dots.
    """
    return _OTHER_IMAGES.union(Image.registered_extensions()) - _DOCUMENTS


@cache
def system_devices() -> frozenset[int]:
    """List the devices of folders that show the state of the system, and hold no files of people.

    Returns:
        Their numbers, as st_dev of a status; none on systems without such folders.
    """
    shown = {path.stat().st_dev for path in (Path("/proc"), Path("/sys")) if path.is_dir()}
    return frozenset(shown - {Path("/").stat().st_dev})
