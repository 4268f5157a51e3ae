"""Galleries of people's own images, kept up with the folder that they are of.

While that is going on, what is embedded so far stays in NAME.unfinished beside the gallery.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, file_lock
from devise_exp.data.folders import files_below, portable
from devise_exp.data.images import ImageFiles, scan_images
from devise_exp.index.files import VECTORS, checked_folder
from devise_exp.runs.gallery import GalleryRow, MakeIndex, stamp_of
from devise_exp.runs.gallery_files import save, saved_rows

CHUNK = 64  # images that are embedded before they are written; a kill loses at most these
SHOWN = 3  # reasons in a line

Embed = Callable[[Sequence[Image.Image]], dict[str, np.ndarray]]
Vectors = dict[tuple[str, str], dict[str, np.ndarray]]  # name and stamp -> space -> (D,)


@dataclass(frozen=True)
class SyncReport:
    """What keeping a gallery up with its folder came to: n images are in it now; skipped holds
    "name: reason".
    """

    n: int
    added: int
    changed: int
    dropped: int
    skipped: tuple[str, ...]


def sync(place: Path, folder: Path, embed: Embed, make_index: MakeIndex) -> SyncReport:
    """Bring the gallery saved at `place` up to the images below `folder`, which need no classes.

    Only new and changed files (by size and time) are embedded, a chunk at a time; deleted ones are
    dropped and unreadable ones noted. Where nothing has changed nothing is written. A sync that was
    killed goes on where it was; other processes wait. InputError where no image can be read.
    """
    root = folder.expanduser().resolve()
    unfinished = place.with_name(f"{place.name}.unfinished")
    rows, notes = _files(folder, root)
    with file_lock(place):
        saved = _saved_vectors(place)
        known = saved | _chunks(unfinished)
        waiting = [row for row in rows if _key(row) not in known]
        broken = scan_images({row.name: str(row.path) for row in waiting}).broken
        notes += [f"{name}: {reason}" for name, reason in broken.items()]
        rows = [row for row in rows if row.name not in broken]
        if not rows:
            some = "; ".join(notes[:SHOWN]) or "it holds none"
            raise InputError(f"{folder}: no image to index ({some}): give a folder of images")
        known |= _embedded([row for row in waiting if row.name not in broken], unfinished, embed)
        now = {_key(row) for row in rows}
        if now != set(saved):
            save(place, rows, _arrays(place, rows, known), make_index, str(root))
        shutil.rmtree(unfinished, ignore_errors=True)
    names, names_before = {name for name, _ in now}, {name for name, _ in saved}
    return SyncReport(
        n=len(rows),
        added=len(names - names_before),
        changed=len(now - set(saved)) - len(names - names_before),
        dropped=len(names_before - names),
        skipped=tuple(notes),
    )


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
            rows[name] = GalleryRow(name=name, path=path, stamp=stamp_of(Path(path)))
    return [rows[name] for name in sorted(rows)], notes


def _key(row: GalleryRow) -> tuple[str, str]:
    return row.name, row.stamp


def _embedded(rows: Sequence[GalleryRow], unfinished: Path, embed: Embed) -> Vectors:
    """The vectors of `rows`, written to `unfinished` a chunk at a time."""
    found: Vectors = {}
    with progress() as bar:
        task = bar.add_task(f"embedding {len(rows):,} images", total=len(rows))
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            spaces = embed(ImageFiles(str(row.path) for row in chunk))
            keys = [_key(row) for row in chunk]
            number = sum(1 for _ in unfinished.glob("*.npz"))
            with atomic_path(unfinished / f"{number}.npz") as made, made.open("wb") as file:
                np.savez(file, allow_pickle=False, keys=np.array(json.dumps(keys)), **spaces)
            found |= _by_key(keys, spaces)
            bar.advance(task, len(chunk))
    return found


def _chunks(unfinished: Path) -> Vectors:
    """What a sync that was killed has embedded; what cannot be read is embedded again."""
    found: Vectors = {}
    for file in unfinished.glob("*.npz"):
        with (
            suppress(OSError, ValueError, LookupError, TypeError, EOFError, BadZipFile),
            np.load(file, allow_pickle=False) as arrays,
        ):
            spaces = {name: arrays[name] for name in arrays.files if name != "keys"}
            found |= _by_key(json.loads(str(arrays["keys"])), spaces)
    return found


def _saved_vectors(place: Path) -> Vectors:
    """The vectors of a saved gallery; none where it is not there or damaged."""
    try:
        saved = saved_rows(place)
        spaces = {}
        for space in saved.spaces:
            checked_folder(place / space)
            spaces[space] = np.load(place / space / VECTORS, mmap_mode="r", allow_pickle=False)
        return _by_key([_key(row) for row in saved.rows], spaces)
    except (InputError, OSError, ValueError, IndexError):
        return {}


def _by_key(keys: Iterable[Sequence[str]], spaces: Mapping[str, np.ndarray]) -> Vectors:
    return {
        (name, stamp): {space: vectors[i] for space, vectors in spaces.items()}
        for i, (name, stamp) in enumerate(keys)
    }


def _arrays(place: Path, rows: Sequence[GalleryRow], known: Vectors) -> dict[str, np.ndarray]:
    """Space -> (N, D) in the order of `rows`."""
    found = [known[_key(row)] for row in rows]
    if any(vectors.keys() != found[0].keys() for vectors in found):
        raise InputError(f"{place}: was indexed in other spaces: remove it and index again")
    return {space: np.stack([vectors[space] for vectors in found]) for space in found[0]}
