"""Embeddings of image files on disk: written as they come, read without being loaded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise_exp.core.array_files import load_array
from devise_exp.core.errors import InputError
from devise_exp.core.row_shards import ROWS_AT_ONCE, RowShards
from devise_exp.index.files import VECTORS, checked_folder
from devise_exp.index.unit_rows import unit_rows
from devise_exp.runs.gallery_files import saved_rows

KEYS, NUMBER_BYTES = "keys.jsonl", 4

Key = tuple[str, str]  # of a file: name and stamp


class Embedded(NamedTuple):
    """Embedded files.

    Attributes:
        keys: Name and stamp of each of N files.
        spaces: Space -> (N, D) float32 unit rows, memory-mapped.
    """

    keys: list[Key]
    spaces: dict[str, np.ndarray]


NOTHING = Embedded([], {})


def read_gallery(gallery: Path) -> Embedded:
    """Read what a saved gallery has embedded.

    Args:
        gallery: Its folder.

    Returns:
        Its files; none if it is not there or damaged.
    """
    try:
        saved = saved_rows(gallery)
        spaces = {}
        for space in saved.spaces:
            checked_folder(gallery / space)
            spaces[space] = load_array(gallery / space / VECTORS, mapped=True)
        keys = [(row.name, row.stamp) for row in saved.rows]
    except (InputError, OSError, ValueError, IndexError):
        return NOTHING
    return Embedded(keys, spaces) if all(len(v) == len(keys) for v in spaces.values()) else NOTHING


def append_unfinished(folder: Path, keys: Sequence[Key], spaces: Mapping[str, np.ndarray]) -> None:
    """Write embeddings after those that a folder has.

    Args:
        folder: The folder, made if need be.
        keys: Name and stamp of each of n files.
        spaces: Space -> (n, D) rows of any length.

    Raises:
        InputError: A row is all zero or not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {space: unit_rows(vectors, "embedded images") for space, vectors in spaces.items()}
    for space, vectors in rows.items():
        with (folder / f"{space}.{vectors.shape[1]}.f4").open("ab") as file:
            file.write(vectors.tobytes())
    with (folder / KEYS).open("a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(key)}\n" for key in keys)


def read_unfinished(folder: Path) -> Embedded:
    """Read what a killed process has left, and cut off what it did not finish writing.

    Args:
        folder: The folder that `append_unfinished` wrote.

    Returns:
        The files whose embeddings are whole.
    """
    keys: list[Key] = []
    with suppress(OSError, ValueError, TypeError), (folder / KEYS).open(encoding="utf-8") as file:
        for line in file:
            name, stamp = json.loads(line)
            keys.append((str(name), str(stamp)))
    files: dict[tuple[str, int], Path] = {}
    for path in folder.glob("*.*.f4"):
        space, _, width = path.stem.rpartition(".")
        if width.isdecimal() and int(width):
            files[space, int(width)] = path
    counts = [path.stat().st_size // (NUMBER_BYTES * dim) for (_, dim), path in files.items()]
    n = min([len(keys), *counts])
    if not n or len({space for space, _ in files}) < len(files):
        shutil.rmtree(folder, ignore_errors=True)
        return NOTHING
    spaces: dict[str, np.ndarray] = {}
    for (space, dim), path in files.items():
        os.truncate(path, n * dim * NUMBER_BYTES)
        spaces[space] = np.memmap(path, np.float32, "r", shape=(n, dim))
    lines = (f"{json.dumps(key)}\n" for key in keys[:n])
    (folder / KEYS).write_text("".join(lines), encoding="utf-8")  # without a line cut short
    return Embedded(keys[:n], spaces)


def write_in_order(sources: Sequence[np.ndarray], order: np.ndarray, path: Path) -> np.ndarray:
    """Write rows of several arrays to one file in a new order, a block at a time.

    Args:
        sources: Arrays (n, D) float32, counted through.
        order: (N,) numbers of rows.
        path: The .npy file.

    Returns:
        (N, D), memory-mapped.
    """
    rows = RowShards(sources)
    file = np.lib.format.open_memmap(path, "w+", np.float32, (len(order), *rows.shape[1:]))
    for start in range(0, len(order), ROWS_AT_ONCE):
        file[start : start + ROWS_AT_ONCE] = rows[order[start : start + ROWS_AT_ONCE]]
    file.flush()
    return load_array(path, mapped=True)
