"""The chunks of a PNG file that its pixels need."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_USED_IF_WHOLE = (b"tRNS", b"eXIf")


def is_png(content: bytes) -> bool:
    """Tell a PNG file by its first bytes.

    Args:
        content: Bytes of a file.

    Returns:
        Whether they start as a PNG file does.
    """
    return content.startswith(SIGNATURE)


def without_metadata(content: bytes) -> bytes:
    """Leave out the chunks that say nothing about pixels, which Pillow refuses if they are broken.

    Args:
        content: A PNG file.

    Returns:
        The file with pixels, palette and transparency; with EXIF if that is whole.
    """
    return SIGNATURE + b"".join(_kept_chunks(content))


def _kept_chunks(content: bytes) -> Iterator[bytes]:
    start = len(SIGNATURE)
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        kind, chunk = content[start + 4 : start + 8], content[start:end]
        whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if kind in _NEEDED or (kind in _USED_IF_WHOLE and whole):
            yield chunk
        start = end
