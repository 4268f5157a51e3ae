"""Galleries: images that are searched, with an index of their vectors in each space.

A saved gallery is a folder: rows.json, and one saved index per space under the space's name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.index import saved as saved_module
from devise_exp.index.exact import ExactIndex
from devise_exp.index.protocol import Index

FORMAT = 1
ROWS = "rows.json"
MAX_ROWS = 2**30  # bytes of rows.json; a million rows take a fifth of it

MakeIndex = Callable[[np.ndarray], Index]


@dataclass(frozen=True)
class GalleryRow:
    """One image of a gallery.

    name: its row name. label: its class, "" where that is unknown. path: its file, None where the
    images are not on disk. part: val, test or unseen of a run. stamp: size and time of the file
    when it was embedded, "" where that was not noted.
    """

    name: str
    label: str = ""
    path: str | None = None
    part: str = ""
    stamp: str = ""


@dataclass(frozen=True, eq=False)
class Gallery:
    """N images and the index of their vectors (N, D) in one space, row i for rows[i]."""

    name: str
    rows: tuple[GalleryRow, ...]
    index: Index

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.index):
            raise ValueError(f"{self.name}: {len(self.index)} vectors for {len(self.rows)} rows")

    def __len__(self) -> int:
        return len(self.rows)

    def row_of(self, path: Path) -> int | None:
        """The row of an image file, if it is in the gallery and the same as when embedded."""
        row = self._row_by_file.get(os.path.realpath(path))
        if row is None or self.rows[row].stamp not in ("", stamp_of(path)):
            return None
        return row

    def part(self, name: str) -> Gallery:
        """The rows of one part under an exact index; "all" is the gallery itself."""
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

    def with_image_root(self, folder: Path) -> Gallery:
        """Each row with the file `folder`/name as its path, where there is one; InputError where
        there is none for any row.
        """
        places = [folder.expanduser().absolute() / row.name for row in self.rows]
        there = [place.is_file() for place in places]
        if not any(there):
            raise InputError(
                f"{folder} holds none of these images by name: give the folder that has, for "
                f"example, {self.rows[0].name} in it"
            )
        rows = tuple(
            replace(row, path=str(place)) if found else row
            for row, place, found in zip(self.rows, places, there, strict=True)
        )
        return replace(self, rows=rows)

    @cached_property
    def _row_by_file(self) -> dict[str, int]:
        resolved: dict[str, str] = {}  # folders, for a path is slow to resolve and many share one
        found = {}
        for i, row in enumerate(self.rows):
            if row.path is None:
                continue
            folder, name = os.path.split(row.path)
            if folder not in resolved:
                resolved[folder] = os.path.realpath(folder)
            place = os.path.join(resolved[folder], name)  # noqa: PTH118 (Path is ten times slower)
            found[os.path.realpath(place) if os.path.islink(place) else place] = i  # noqa: PTH114
        return found


def save(
    folder: Path,
    rows: Sequence[GalleryRow],
    spaces: Mapping[str, np.ndarray],
    make_index: MakeIndex,
    name: str | None = None,
) -> None:
    """Write the gallery as `folder`, replacing one that is there.

    `spaces` maps each space to its vectors (N, D); `name` is the folder's unless given. Paths are
    made absolute, for a later search may come from another place.
    """
    if not spaces or {len(vectors) for vectors in spaces.values()} != {len(rows)}:
        raise ValueError(f"{folder}: each space needs a vector for each of {len(rows)} rows")
    content = {
        "format": FORMAT,
        "name": name or folder.name,
        "spaces": list(spaces),
        "rows": [
            asdict(row) | {"path": row.path and str(Path(row.path).absolute())} for row in rows
        ],
    }
    with atomic_path(folder) as made:
        made.mkdir()
        (made / ROWS).write_text(json.dumps(content), encoding="utf-8")
        for space, vectors in spaces.items():
            make_index(vectors).save(made / space)


def load(folder: Path, space: str) -> Gallery:
    """The gallery that `save` wrote, in one of its spaces; its index is restored, not rebuilt.

    InputError where it is not there, is damaged or has no such space.
    """
    saved = saved_rows(folder)
    if space not in saved.spaces:
        raise InputError(
            f"{folder}: the gallery has no space {space}: choose {' or '.join(saved.spaces)}"
        )
    found = saved_module.load(folder / space)
    if saved_rows(folder) != saved:  # another process has replaced it between the two reads
        return load(folder, space)
    if len(found) != len(saved.rows):
        raise InputError(
            f"{folder}: damaged ({len(found)} vectors for {len(saved.rows)} images): remove it "
            "and train or index again"
        )
    return Gallery(saved.name, saved.rows, found)


def folders(place: Path) -> list[str]:
    """The folders whose galleries are saved in `place`, sorted; damaged ones are left out."""
    found = []
    for rows in place.glob(f"[!.]*/{ROWS}"):
        with suppress(InputError):
            found.append(saved_rows(rows.parent).name)
    return sorted(found)


class Saved(NamedTuple):
    """What rows.json holds; spaces are the names of the folders beside it."""

    name: str
    spaces: tuple[str, ...]
    rows: tuple[GalleryRow, ...]


def saved_rows(folder: Path) -> Saved:
    """InputError where rows.json is not there, too large or not what `save` wrote."""
    file = folder / ROWS
    if not file.is_file():
        raise InputError(f"{folder}: no gallery there (no {ROWS}): train or index again")
    damaged = InputError(f"{file}: damaged: remove {folder} and train or index again")
    if file.stat().st_size > MAX_ROWS:
        raise damaged
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = tuple(GalleryRow(**row) for row in content["rows"])
        texts = [content["name"], *content["spaces"]]
        for row in rows:
            texts += [
                row.name,
                row.label,
                "" if row.path is None else row.path,
                row.part,
                row.stamp,
            ]
        if content["format"] != FORMAT or not all(isinstance(text, str) for text in texts):
            raise damaged
        return Saved(content["name"], tuple(content["spaces"]), rows)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged from error


def stamp_of(path: Path) -> str:
    """Size and time of a file, "" where it cannot be asked."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"
