"""A gallery on disk: a folder with rows.json, and a saved index for every space under its name."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.index import saved as saved_index
from devise_exp.index.exact import ExactIndex
from devise_exp.runs.files import reading
from devise_exp.runs.gallery import Gallery, GalleryRow, MakeIndex
from devise_exp.runs.gallery_columns import read_columns, write_columns

FORMAT, FORMAT_OF_COLUMNS = 1, 2
COLUMNS = "rows"
MANY_ROWS = 1 << 18  # from which on rows.json is replaced by columns
ROWS = "rows.json"
AGAIN = "train or index again"
MAX_ROWS = 2**30  # bytes of rows.json; a million rows take a fifth of it


def save(
    folder: Path,
    rows: Sequence[GalleryRow],
    spaces: Mapping[str, np.ndarray],
    make_index: MakeIndex,
    name: str | None = None,
    exact: Collection[str] = (),
) -> None:
    """Write a gallery, replacing one that is there.

    Paths are made absolute, since a later search may run in another folder.

    Args:
        folder: Folder of the gallery.
        rows: Its N images.
        spaces: Space -> vectors (N, D) in it.
        make_index: Makes the index of the vectors.
        name: Name of the gallery; that of the folder if None.
        exact: Spaces whose index is exact, whatever make_index makes.
    """
    if not spaces or {len(vectors) for vectors in spaces.values()} != {len(rows)}:
        raise ValueError(f"{folder}: every space needs a vector for each of {len(rows)} rows")
    content: dict[str, Any] = {"name": name or folder.name, "spaces": list(spaces)}
    with atomic_path(folder) as path:
        path.mkdir()
        if len(rows) >= MANY_ROWS:
            digest = write_columns(path / COLUMNS, rows, content["name"])
            content |= {"format": FORMAT_OF_COLUMNS, "digest": digest}
        else:
            listed = (
                asdict(row) | {"path": row.path and str(Path(row.path).absolute())} for row in rows
            )
            content |= {"format": FORMAT, "rows": list(listed)}
        (path / ROWS).write_text(json.dumps(content), encoding="utf-8")
        for space, vectors in spaces.items():
            index = ExactIndex(vectors) if space in exact else make_index(vectors)
            saved_index.save(index, path / space)


def load(folder: Path, space: str) -> Gallery:
    """Load a gallery; its index is restored, not rebuilt.

    Args:
        folder: Folder of the gallery.
        space: Space of the vectors.

    Returns:
        The gallery in this space.

    Raises:
        InputError: If it is not there, is damaged or has no such space.
    """
    saved = saved_rows(folder)
    if space not in saved.spaces:
        raise InputError(
            f"{folder}: the gallery has no space {space}: {AGAIN} for it, or choose "
            f"{' or '.join(saved.spaces)}"
        )
    index = saved_index.load(folder / space)
    if saved_rows(folder) != saved:  # another process has replaced it between the two reads
        return load(folder, space)
    if len(index) != len(saved.rows):
        raise InputError(
            f"{folder}: damaged ({len(index)} vectors for {len(saved.rows)} images): remove it "
            f"and {AGAIN}"
        )
    return Gallery(saved.name, saved.rows, index)


def gallery_names(folder: Path) -> list[str]:
    """List the galleries that are saved in a folder.

    Args:
        folder: Folder that holds a folder for each gallery.

    Returns:
        Their names, sorted; damaged ones are left out.
    """
    names = []
    for rows in folder.glob(f"[!.]*/{ROWS}"):
        with suppress(InputError):
            names.append(saved_rows(rows.parent).name)
    return sorted(names)


class SavedRows(NamedTuple):
    """The content of rows.json; `spaces` are the names of the folders beside it."""

    name: str
    spaces: tuple[str, ...]
    rows: Sequence[GalleryRow]


def saved_rows(folder: Path) -> SavedRows:
    """Read rows.json of a gallery.

    Args:
        folder: Folder of the gallery.

    Returns:
        Its name, spaces and images.

    Raises:
        InputError: If the file is not there, too large or not what `save` wrote.
    """
    missing, remedy = f"no gallery there (no {ROWS}): {AGAIN}", f"remove {folder} and {AGAIN}"
    with reading(folder, ROWS, remedy=remedy, missing=missing) as file:
        if file.stat().st_size > MAX_ROWS:
            raise ValueError("too large")
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] == FORMAT_OF_COLUMNS:
            return _with_columns(folder, content)
        rows = tuple(GalleryRow(**row) for row in content["rows"])
        texts = [content["name"], *content["spaces"]]
        for row in rows:
            path = "" if row.path is None else row.path
            texts += [row.name, row.label, path, row.part, row.stamp]
        if content["format"] != FORMAT or not all(isinstance(text, str) for text in texts):
            raise ValueError("not what save wrote")
        return SavedRows(content["name"], tuple(content["spaces"]), rows)


def _with_columns(folder: Path, content: dict[str, Any]) -> SavedRows:
    """The rows of a large gallery; ValueError if they are not what `save` wrote."""
    name, spaces = content["name"], tuple(content["spaces"])
    if not all(isinstance(text, str) for text in (name, *spaces)):
        raise ValueError("not what save wrote")
    return SavedRows(name, spaces, read_columns(folder / COLUMNS, name, content["digest"]))
