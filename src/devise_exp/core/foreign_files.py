"""Files that are not what their names say: web pages, pointers, other formats."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ForeignKind:
    """What a file is instead.

    Attributes:
        what: Its kind, as in "this is a web page".
        remedy: What to do.
    """

    what: str
    remedy: str


_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"\s*<(!doctype|html|head|body|\?xml)",
        "a web page",
        "the site answered with a page instead of the file: fetch the file itself",
    ),
    (
        rb"version https?://(git-lfs|hawser)",
        "a pointer of Git LFS",
        "fetch the file that it stands for with: git lfs pull",
    ),
    (
        rb"[./]*(git/)?annex/objects/",
        "a pointer of git-annex",
        "fetch the file that it stands for with: git annex get",
    ),
    (rb"%PDF", "a PDF", "give the file that was asked for"),
)
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), ForeignKind(what=what, remedy=remedy))
    for pattern, what, remedy in _KINDS
)


def foreign_kind(head: bytes) -> ForeignKind | None:
    """Tell what a file is that a site or a version control gave instead of the right one.

    Args:
        head: Its first bytes, 1,000 or so, without a byte order mark.

    Returns:
        Its kind, or None if it is none of these.

    Example:
        >>> foreign_kind(b"<!DOCTYPE html><title>Not found").what
        'a web page'
    """
    return next((kind for pattern, kind in _PATTERNS if pattern.match(head)), None)
