"""Galleries: images that are searched, with an index of their vectors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import file_stamp
from devise_exp.index.exact import ExactIndex
from devise_exp.index.protocol import Index

MakeIndex = Callable[[np.ndarray], Index]


@dataclass(frozen=True, kw_only=True, slots=True)
class GalleryRow:
    """One image of a gallery.

    Attributes:
        name: Its row name.
        label: Its class, "" if unknown.
        path: Its file, None if the images are not on disk.
        part: val, test or unseen of a run, "" in the gallery of a folder.
        stamp: Size and time of the file when it was embedded, "" if not noted.
    """

    name: str
    label: str = ""
    path: str | None = None
    part: str = ""
    stamp: str = ""


@runtime_checkable
class FileRows(Protocol):
    """Rows that look for a file themselves, without a table of all of them."""

    def row_of(self, path: str) -> int | None:
        """The row of a file by its whole path, None if it is not among them."""
        ...


@dataclass(frozen=True, eq=False)
class Gallery:
    """N images and the index of their vectors in one space.

    Attributes:
        name: Part of a run, or the folder of the images.
        rows: The N images.
        index: Index of their vectors (N, D), row i for rows[i].
    """

    name: str
    rows: Sequence[GalleryRow]
    index: Index

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.index):
            raise ValueError(f"{self.name}: {len(self.index)} vectors for {len(self.rows)} rows")

    def __len__(self) -> int:
        return len(self.rows)

    def row_of(self, path: Path) -> int | None:
        """Look for an image file in the gallery.

        Args:
            path: The file.

        Returns:
            Its row; None if it is not in the gallery, or has changed since it was embedded.
        """
        if isinstance(self.rows, FileRows):
            row = self.rows.row_of(os.path.realpath(path))
        else:
            row = self._row_by_file.get(os.path.realpath(path))
        if row is None or self.rows[row].stamp not in ("", file_stamp(path)):
            return None
        return row

    def part(self, name: str) -> Gallery:
        """Take one part of the gallery.

        Args:
            name: val, test or unseen; "all" is the gallery itself.

        Returns:
            The rows of the part under an exact index.

        Raises:
            InputError: If the gallery has no such part.
        """
        if name == "all":
            return self
        chosen = [i for i, row in enumerate(self.rows) if row.part == name]
        if not chosen:
            parts = sorted({row.part for row in self.rows} - {""})
            raise InputError(
                f"{self.name} has no images of {name}: choose {' or '.join(['all', *parts])}"
            )
        rows = tuple(self.rows[i] for i in chosen)
        return Gallery(name, rows, ExactIndex(self.index.vectors[chosen]))

    def with_image_root(self, image_root: Path) -> Gallery:
        """Look for the images elsewhere than in training.

        Args:
            image_root: Folder that holds the images by their row names, or by these without the
                class (of a table, whose paths need no class folders).

        Returns:
            The gallery with the path in image_root of every row whose image is there.

        Raises:
            InputError: If the folder holds none of the images.
        """
        root = image_root.expanduser().absolute()
        rows = tuple(_looked_for(row, root) for row in self.rows)
        if rows and all(new is old for new, old in zip(rows, self.rows, strict=True)):
            raise InputError(
                f"{image_root} holds none of these images by name: give the folder that has, for "
                f"example, {self.rows[0].name} in it"
            )
        return replace(self, rows=rows)

    @cached_property
    def _row_by_file(self) -> dict[str, int]:
        return row_by_file(row.path for row in self.rows)


def row_by_file(paths: Iterable[str | None]) -> dict[str, int]:
    """Make a table of the files of rows.

    Args:
        paths: The file of each row, None if it is not on disk.

    Returns:
        Whole path, without links -> row.
    """
    resolved: dict[str, str] = {}  # folders, for a path is slow to resolve and many share one
    rows = {}
    for i, path in enumerate(paths):
        if not path:
            continue
        folder, name = os.path.split(path)
        if folder not in resolved:
            resolved[folder] = os.path.realpath(folder)
        file = os.path.join(resolved[folder], name)  # noqa: PTH118 (Path is ten times slower)
        rows[os.path.realpath(file) if os.path.islink(file) else file] = i  # noqa: PTH114
    return rows


def _looked_for(row: GalleryRow, root: Path) -> GalleryRow:
    """A row with its image in another folder, if it is there."""
    for name in (row.name, row.name.partition("/")[2]):
        if name and (root / name).is_file():
            return replace(row, path=str(root / name))
    return row
