"""Files and folders beside photographs that no person put there as an image of a class.

Network drives keep thumbnails and waste baskets in folders of their own, archives and file managers
leave folders and files behind, and cameras and editors write sidecars. All are left out without a
note, as hidden files are; a raw file beside its JPEG is the same photograph, so it is too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

_FOLDERS = re.compile(
    # Of Synology and QNAP, Windows, Linux, macOS, Lightroom.
    r"@eadir|@tmp|@recycle|@recently-snapshot|@sharesnap|@__thumb|#recycle|#snapshot"
    r"|\$recycle\.bin|system volume information|found\.\d{3}|lost\+found"
    r"|__macosx|network trash folder|temporary items|.*\.lrdata"
    r"|__pycache__|\..*",
    re.IGNORECASE,
)
_FILES = re.compile(
    r"thumbs\.db|ehthumbs(_vista)?\.db|desktop\.ini|icon\r|synofile_thumb_.*|synophoto_.*"
    r"|picasa\.ini|zbthumbnail\.info|\..*"
    r"|.*\.(xmp|aae|thm|lrv|pp3|dop|cos|on1|nksc|nksd|lnk|url|tmp|part|crdownload)",
    re.IGNORECASE,
)
# fmt: off
RAW = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25",
    ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".raf", ".raw", ".rw2",
    ".rwl", ".sr2", ".srf", ".srw", ".x3f",
))
# fmt: on
_DEVELOPED = frozenset(
    (".jpg", ".jpeg", ".jpe", ".heic", ".heif", ".tif", ".tiff", ".png", ".webp")
)


def is_system_folder(name: str) -> bool:
    """Tell whether a folder holds what a system or a program put there.

    Args:
        name: The name of the folder.

    Returns:
        Whether to leave it out.

    Example:
        >>> is_system_folder("@eaDir"), is_system_folder("okapi")
        (True, False)
    """
    return bool(_FOLDERS.fullmatch(name))


def image_files(names: Iterable[str]) -> list[str]:
    """Leave out what is no image of its own.

    Args:
        names: The names of all files of one folder.

    Returns:
        Those without system files, sidecars and raw files beside the image developed from them.

    Example:
        >>> image_files(["a.jpg", "a.NEF", "a.xmp", "b.nef", "._a.jpg", "Thumbs.db"])
        ['a.jpg', 'b.nef']
    """
    names = [name for name in names if not _FILES.fullmatch(name)]
    developed = {_stem(name) for name in names if PurePath(name).suffix.lower() in _DEVELOPED}
    return [
        name
        for name in names
        if PurePath(name).suffix.lower() not in RAW or _stem(name) not in developed
    ]


def _stem(name: str) -> str:
    """The name without its ending, whatever its case."""
    return PurePath(name).stem.casefold()
