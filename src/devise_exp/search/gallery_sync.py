"""Galleries of folders: bring a gallery up to date with its folder of images.

Until a sync is done, its embeddings stay in NAME.unfinished beside the gallery. Names and stamps of
the files are in memory, pixels a chunk at a time, vectors on disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import file_lock, file_stamp
from devise_exp.core.row_shards import ROWS_AT_ONCE
from devise_exp.data.file_names import portable
from devise_exp.data.folders import files_below
from devise_exp.data.images import ImageFiles
from devise_exp.data.scan import scan_images
from devise_exp.runs.gallery import GalleryRow, MakeIndex
from devise_exp.runs.gallery_files import save
from devise_exp.search.embedded_files import (
    NOTHING,
    Embedded,
    Key,
    append_unfinished,
    read_gallery,
    read_unfinished,
    write_in_order,
)

CHUNK = 64  # images that are embedded before they are written; a kill loses at most these
SHOWN = 3  # reasons in a line

Embed = Callable[[Sequence[Image.Image]], dict[str, np.ndarray]]


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
        saved = read_gallery(gallery)
        begun = read_unfinished(unfinished)
        if spaces and begun.spaces.keys() != set(spaces):  # nothing can be appended to others
            shutil.rmtree(unfinished, ignore_errors=True)
            begun = NOTHING
        done = (saved if saved.spaces.keys() >= set(spaces) else NOTHING), begun
        known = {key for part in done for key in part.keys}
        new = [row for row in rows if _key(row) not in known]
        broken = _embed_rows(new, unfinished, embed)
        notes += [f"{name}: {reason}" for name, reason in broken.items()]
        rows = [row for row in rows if row.name not in broken]
        if not rows:
            some = "; ".join(notes[:SHOWN]) or "it holds none"
            raise InputError(f"{folder}: no image to index ({some}): give a folder of images")
        if len(new) > len(broken) or {_key(row) for row in rows} != set(saved.keys):
            parts = done[0], read_unfinished(unfinished)
            _save(gallery, rows, parts, make_index, str(root))
        shutil.rmtree(unfinished, ignore_errors=True)
    return _report(rows, saved.keys, notes)


def _report(rows: Sequence[GalleryRow], before: Sequence[Key], notes: Sequence[str]) -> SyncReport:
    """The difference between a gallery of `rows` and the saved one."""
    now, saved = {_key(row) for row in rows}, set(before)
    names, names_before = {name for name, _ in now}, {name for name, _ in saved}
    return SyncReport(
        n=len(rows),
        added=len(names - names_before),
        changed=len(now - saved) - len(names - names_before),
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
            rows[name] = GalleryRow(name=name, path=path, stamp=file_stamp(Path(path)))
    return [rows[name] for name in sorted(rows)], notes


def _key(row: GalleryRow) -> Key:
    return row.name, row.stamp


def _embed_rows(rows: Sequence[GalleryRow], unfinished: Path, embed: Embed) -> dict[str, str]:
    """Embed the images of `rows` into `unfinished`; name -> reason of those that are broken."""
    broken: dict[str, str] = {}
    for first in range(0, len(rows), ROWS_AT_ONCE):  # a scan holds what it has seen
        block = rows[first : first + ROWS_AT_ONCE]
        wrong = scan_images({row.name: str(row.path) for row in block}).broken
        good = [row for row in block if row.name not in wrong]
        broken |= wrong
        with progress() as bar:
            task = bar.add_task(f"embedding {len(good):,} images", total=len(good))
            for start in range(0, len(good), CHUNK):
                chunk = good[start : start + CHUNK]
                spaces = embed(ImageFiles(str(row.path) for row in chunk))
                append_unfinished(unfinished, [_key(row) for row in chunk], spaces)
                bar.advance(task, len(chunk))
    return broken


def _save(
    gallery: Path,
    rows: Sequence[GalleryRow],
    parts: tuple[Embedded, Embedded],
    make_index: MakeIndex,
    name: str,
) -> None:
    """Write the gallery of `rows`, whose vectors are in the saved gallery or in the new part."""
    widths = [{s: v.shape[1] for s, v in part.spaces.items()} for part in parts if part.keys]
    if any(width != widths[0] for width in widths):
        raise InputError(
            f"{gallery}: was indexed in other spaces: remove it and {gallery}.unfinished, then "
            "index again"
        )
    position = {key: i for i, key in enumerate(chain.from_iterable(p.keys for p in parts))}
    order = np.array([position[_key(row)] for row in rows])
    with TemporaryDirectory(prefix=f".{gallery.name}.", dir=gallery.parent) as workplace:
        spaces = {}
        for space in widths[0]:
            sources = [part.spaces[space] for part in parts if part.keys]
            spaces[space] = write_in_order(sources, order, Path(workplace) / f"{space}.npy")
        save(gallery, rows, spaces, make_index, name)
