"""Galleries of folders: bring a gallery up to date with its folder of images.

Until a sync is done, its embeddings stay in NAME.unfinished beside the gallery.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from devise_exp.core.array_files import load_array, load_arrays
from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, file_lock, file_stamp
from devise_exp.data.file_names import portable
from devise_exp.data.folders import files_below
from devise_exp.data.images import ImageFiles
from devise_exp.data.scan import scan_images
from devise_exp.index.files import VECTORS, checked_folder
from devise_exp.runs.gallery import GalleryRow, MakeIndex
from devise_exp.runs.gallery_files import save, saved_rows

CHUNK = 64  # images that are embedded before they are written; a kill loses at most these
SHOWN = 3  # reasons in a line

Embed = Callable[[Sequence[Image.Image]], dict[str, np.ndarray]]
Vectors = dict[tuple[str, str], dict[str, np.ndarray]]  # name and stamp -> space -> (D,)


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """The result of a sync.

    Attributes:
        n: Number of images in the gallery now.
        added: Number of new images.
        changed: Number of images whose file has changed.
        dropped: Number of images whose file is gone.
        skipped: Files that could not be read, "name: reason".
    """

    n: int
    added: int
    changed: int
    dropped: int
    skipped: tuple[str, ...]


def sync(
    gallery: Path,
    folder: Path,
    embed: Embed,
    make_index: MakeIndex,
    spaces: Collection[str] = (),
) -> SyncReport:
    """Bring a gallery up to date with a folder of images, which need no classes.

    Only new and changed files (by size and time) are embedded, a chunk at a time. A sync that was
    killed continues where it stopped; other processes wait. If nothing has changed, nothing is
    written.

    Args:
        gallery: Folder of the gallery.
        folder: Folder of the images.
        embed: Images to vectors (N, D) by space.
        make_index: Makes the index of the vectors.
        spaces: What `embed` gives, if that is known; images stored in fewer are embedded again.

    Returns:
        What has changed.

    Raises:
        InputError: If no image can be read.
    """
    root = folder.expanduser().resolve()
    unfinished = gallery.with_name(f"{gallery.name}.unfinished")
    rows, notes = _files(folder, root)
    with file_lock(gallery):
        saved = _saved_vectors(gallery)
        vectors = {
            key: stored
            for key, stored in (saved | _chunks(unfinished)).items()
            if stored.keys() >= set(spaces)
        }
        rows = _readable(rows, vectors, notes)
        if not rows:
            some = "; ".join(notes[:SHOWN]) or "it holds none"
            raise InputError(f"{folder}: no image to index ({some}): give a folder of images")
        new = [row for row in rows if _key(row) not in vectors]
        vectors |= _embed_rows(new, unfinished, embed)
        if new or {_key(row) for row in rows} != set(saved):
            save(
                gallery, rows, _arrays((gallery, unfinished), rows, vectors), make_index, str(root)
            )
        shutil.rmtree(unfinished, ignore_errors=True)
    return _report(rows, saved, notes)


def _report(rows: Sequence[GalleryRow], saved: Vectors, notes: Sequence[str]) -> SyncReport:
    """The difference between a gallery of `rows` and the saved one."""
    now = {_key(row) for row in rows}
    names, names_before = {name for name, _ in now}, {name for name, _ in saved}
    return SyncReport(
        n=len(rows),
        added=len(names - names_before),
        changed=len(now - set(saved)) - len(names - names_before),
        dropped=len(names_before - names),
        skipped=tuple(notes),
    )


def _readable(rows: list[GalleryRow], vectors: Vectors, notes: list[str]) -> list[GalleryRow]:
    """The rows whose files can be read; adds a note for every other one. Embedded ones can."""
    new = {row.name: str(row.path) for row in rows if _key(row) not in vectors}
    broken = scan_images(new).broken
    notes += [f"{name}: {reason}" for name, reason in broken.items()]
    return [row for row in rows if row.name not in broken]


def _files(folder: Path, root: Path) -> tuple[list[GalleryRow], list[str]]:
    """A row for each file below `root` that may be an image, sorted by name, and notes."""
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise InputError(f"{folder} {what}: give a folder of images")
    notes: list[str] = []
    rows: dict[str, GalleryRow] = {}
    for file in files_below(root, notes):
        name, path = portable(file), f"{root}{os.sep}{file}"
        if name in rows:  # two file names may differ in their Unicode form alone
            notes.append(f"{name}: a second file of this name")
        else:
            rows[name] = GalleryRow(name=name, path=path, stamp=file_stamp(Path(path)))
    return [rows[name] for name in sorted(rows)], notes


def _key(row: GalleryRow) -> tuple[str, str]:
    return row.name, row.stamp


def _embed_rows(rows: Sequence[GalleryRow], unfinished: Path, embed: Embed) -> Vectors:
    """The vectors of `rows`, written to `unfinished` a chunk at a time."""
    vectors: Vectors = {}
    with progress() as bar:
        task = bar.add_task(f"embedding {len(rows):,} images", total=len(rows))
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            spaces = embed(ImageFiles(str(row.path) for row in chunk))
            keys = [_key(row) for row in chunk]
            number = sum(1 for _ in unfinished.glob("*.npz"))
            with atomic_path(unfinished / f"{number}.npz") as path, path.open("wb") as file:
                np.savez(file, allow_pickle=False, keys=np.array(json.dumps(keys)), **spaces)
            vectors |= _by_key(keys, spaces)
            bar.advance(task, len(chunk))
    return vectors


def _chunks(unfinished: Path) -> Vectors:
    """The vectors that a killed sync has left; what cannot be read is embedded again."""
    vectors: Vectors = {}
    for file in unfinished.glob("*.npz"):
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            spaces = load_arrays(file)
            vectors |= _by_key(json.loads(str(spaces.pop("keys"))), spaces)
    return vectors


def _saved_vectors(gallery: Path) -> Vectors:
    """The vectors of a saved gallery; none if it is not there or damaged."""
    try:
        saved = saved_rows(gallery)
        spaces = {}
        for space in saved.spaces:
            checked_folder(gallery / space)
            spaces[space] = load_array(gallery / space / VECTORS, mapped=True)
        return _by_key([_key(row) for row in saved.rows], spaces)
    except (InputError, OSError, ValueError, IndexError):
        return {}


def _by_key(keys: Iterable[Sequence[str]], spaces: Mapping[str, np.ndarray]) -> Vectors:
    return {
        (name, stamp): {space: vectors[i] for space, vectors in spaces.items()}
        for i, (name, stamp) in enumerate(keys)
    }


def _arrays(
    folders: Sequence[Path], rows: Sequence[GalleryRow], vectors: Vectors
) -> dict[str, np.ndarray]:
    """Space -> (N, D) in the order of `rows`."""
    by_row = [vectors[_key(row)] for row in rows]
    shapes = {tuple((name, spaces[name].shape) for name in sorted(spaces)) for spaces in by_row}
    if len(shapes) > 1:
        gallery, unfinished = folders
        raise InputError(
            f"{gallery}: was indexed in other spaces: remove it and {unfinished}, then index again"
        )
    return {space: np.stack([spaces[space] for spaces in by_row]) for space in by_row[0]}
