"""What a file is that Pillow does not open: a web page, a HEIC photograph, an archive."""

from __future__ import annotations

import importlib
import importlib.util

from PIL import Image

HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif")
)
_HEIF_READER = "pillow_heif"
_STARTS = {
    b"version https://git-lfs": "a pointer of Git LFS instead of the file: run git lfs pull",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"\xff\x0a": "JPEG XL: convert it to PNG or JPEG",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL: convert it to PNG or JPEG",
    b"FUJIFILMCCD-RAW": "a camera's raw file: convert it to JPEG",
    b"\x00\x05\x16\x07": "notes of macOS about a file, not the file",
}


def heif_support() -> str:
    """Tell whether HEIC photographs can be read.

    Returns:
        The package that reads them, or "" if it is not installed.
    """
    return _HEIF_READER if importlib.util.find_spec(_HEIF_READER) else ""


def is_heif(content: bytes) -> bool:
    """Tell a HEIC or HEIF photograph by its first bytes.

    Args:
        content: Bytes of a file.

    Returns:
        Whether they start as such a file does.
    """
    return content[4:8] == b"ftyp" and content[8:12] in HEIF_BRANDS


def add_heif(content: bytes) -> bool:
    """Let Pillow open HEIC photographs, by pillow-heif if that is installed.

    Args:
        content: Bytes of a file that Pillow did not open.

    Returns:
        Whether it may open them now.
    """
    if not is_heif(content) or "HEIF" in Image.OPEN or not heif_support():
        return False
    importlib.import_module(_HEIF_READER).register_heif_opener()
    return "HEIF" in Image.OPEN


def file_kind(content: bytes) -> str:
    """Say what a file is that Pillow does not open.

    Args:
        content: Its bytes.

    Returns:
        Its kind, with what to do about it; "" if it is not known.

    Example:
        >>> file_kind(b"<!DOCTYPE html><html>")
        'a web page that was saved instead of an image: download it again'
    """
    if not content:
        return "the file is empty"
    if is_heif(content):
        if heif_support():
            return "HEIC, but not as pillow-heif reads it"
        return "HEIC: pip install pillow-heif, or convert it to JPEG"
    for start, kind in _STARTS.items():
        if content.startswith(start):
            return kind
    if content[4:8] == b"ftyp":
        return "a video, or an image format that Pillow has no reader for"
    return _text_kind(content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower())


def _text_kind(start: bytes) -> str:
    """Say what a text file is by its first characters, in lower case."""
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page that was saved instead of an image: download it again"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return "an SVG drawing: convert it to PNG"
    if start.startswith(b"<?xml"):
        return "an XML file"
    is_text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)
    return "a text file" if start and is_text and _is_utf8(start) else ""


def _is_utf8(start: bytes) -> bool:
    """Whether bytes are text; their last character may be cut."""
    try:
        start[: max(1, len(start) - 3)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
