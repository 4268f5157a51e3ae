"""The images of a large gallery: texts in files by column, a row read when it is asked for."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import SupportsIndex, overload

from devise_exp.core.files import checksum
from devise_exp.core.text_column import TextColumn
from devise_exp.data.file_names import portable
from devise_exp.runs.gallery import GalleryRow, row_by_file

FIELDS = ("name", "label", "path", "part", "stamp")
NO_PATH, BELOW_ROOT = "", "\0"  # in the column of paths


class GalleryColumns(Sequence[GalleryRow]):
    """The N images of a gallery, on disk.

    Args:
        columns: N texts by field of GalleryRow.
        root: Folder of the images, which is not repeated in the column of paths; their names are
            in order. Of the images of a run another text, and they are in any order.
        digest: What tells these columns from others.
    """

    def __init__(self, columns: dict[str, TextColumn], root: str, digest: str) -> None:
        if len({len(column) for column in columns.values()}) != 1 or set(columns) != set(FIELDS):
            raise ValueError(f"columns {sorted(columns)} of different lengths")
        self.columns, self.root, self.digest = columns, root, digest

    def __len__(self) -> int:
        return len(self.columns["name"])

    @overload
    def __getitem__(self, index: SupportsIndex) -> GalleryRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[GalleryRow, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> GalleryRow | tuple[GalleryRow, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(len(self))[index])
        row = {field: self.columns[field][index] for field in FIELDS}
        path: str | None = row.pop("path")
        if path == BELOW_ROOT:
            path = f"{self.root}{os.sep}{row['name']}"
        return GalleryRow(**row, path=path or None)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GalleryColumns):
            return NotImplemented
        return (self.root, self.digest) == (other.root, other.digest)

    def __hash__(self) -> int:
        return hash((self.root, self.digest))

    def row_of(self, path: str) -> int | None:
        """Look for an image file.

        Args:
            path: The whole path.

        Returns:
            Its row, None if it is not among them.
        """
        if not Path(self.root).is_absolute():
            return self._row_by_file.get(path)
        name = portable(os.path.relpath(path, self.root))
        row = bisect_left(self.columns["name"], name)
        return row if row < len(self) and self.columns["name"][row] == name else None

    @cached_property
    def _row_by_file(self) -> dict[str, int]:
        return row_by_file(self.columns["path"])


def write_columns(folder: Path, rows: Sequence[GalleryRow], root: str) -> str:
    """Write the images of a gallery.

    Args:
        folder: A new folder.
        rows: The images.
        root: Folder of the images, if they are sorted by name; else another text.

    Returns:
        What tells the columns from others.
    """
    folder.mkdir()
    start = f"{root}{os.sep}"
    for field in FIELDS:
        texts = (getattr(row, field) for row in rows)
        if field == "path":
            texts = (_short(row, start) for row in rows)
        TextColumn.of(texts).save(folder, field)
    return _digest(folder)


def read_columns(folder: Path, root: str, digest: str) -> GalleryColumns:
    """Open the images of a gallery.

    Args:
        folder: The folder that `write_columns` wrote.
        root: Folder of the images.
        digest: What it returned.

    Returns:
        The images; of damaged files ValueError or OSError.
    """
    if _digest(folder) != digest:
        raise ValueError(f"{folder} is not what was saved")
    columns = {field: TextColumn.load(folder, field) for field in FIELDS}
    return GalleryColumns(columns, root, digest)


def _short(row: GalleryRow, start: str) -> str:
    """What the column of paths holds."""
    if row.path is None:
        return NO_PATH
    path = str(Path(row.path).absolute())
    return BELOW_ROOT if path == f"{start}{row.name}" else path


def _digest(folder: Path) -> str:
    """Hash all files of the columns."""
    return " ".join(checksum(path) for path in sorted(folder.glob("*.npy")))
