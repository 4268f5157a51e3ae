"""Paths that a table lists: as files on this machine, and as row names that are the same on all."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from devise_exp.data.file_names import portable

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_address(path: str) -> bool:
    """Tell an address on the web from a path.

    Args:
        path: A text.

    Returns:
        Whether it begins as an address does.

    Example:
        >>> is_address("https://example.org/a.jpg"), is_address("C:/a.jpg")
        (True, False)
    """
    return _ADDRESS.match(path) is not None


def file_of(root: str, path: str) -> str:
    """Say which file a path means.

    Args:
        root: The folder that relative paths begin in, absolute.
        path: As a person wrote it, perhaps on Windows.

    Returns:
        The whole path, without `..` in it.
    """
    file = os.path.normpath(os.path.join(root, path))  # noqa: PTH118 (keeps links, unlike resolve)
    if "\\" in path and not os.path.lexists(file):
        return os.path.normpath(os.path.join(root, path.replace("\\", "/")))  # noqa: PTH118
    return file


def row_names(root: str, classes: Sequence[str], files: Sequence[str]) -> list[str]:
    """Name rows by their class and their file, below the folder that holds all of them.

    Args:
        root: The folder that relative paths begin in.
        classes: (N,) class names.
        files: (N,) whole paths.

    Returns:
        (N,) names <class>/<path>. If a file lies outside of root, the paths begin at the folder
        that all files have in common.
    """
    start = root.rstrip(os.sep) + os.sep
    if files and not all(file.startswith(start) for file in files):
        common = os.path.commonpath({os.path.dirname(file) for file in files})  # noqa: PTH120
        start = common.rstrip(os.sep) + os.sep
    return [row_name(name, file[len(start) :]) for name, file in zip(classes, files, strict=True)]


def row_name(class_name: str, path: str) -> str:
    """Name a row, so that it stays below whatever folder it is looked for in.

    Args:
        class_name: Its class.
        path: Below the folder of the data, with "/" or the system's separator.

    Returns:
        The class and the path without `.`, `..` and empty folders.

    Example:
        >>> row_name("red panda", "../a/./b.jpg")
        'red panda/a/b.jpg'
    """
    names = f"{class_name}/{Path(path).as_posix()}".split("/")
    return portable("/".join(name for name in names if name not in ("", ".", "..")))
