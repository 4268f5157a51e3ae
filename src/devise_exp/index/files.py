"""A saved index as a folder: its files, their checksums, and what a damaged one says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, checksum

FORMAT = 1
NAMES = ("exact", "auto", "hnsw", "brute_force")
META, VECTORS, GRAPH = "meta.json", "vectors.npy", "graph.bin"


@contextmanager
def saving(folder: Path, name: str, settings: dict[str, int | None]) -> Iterator[Path]:
    """A place to write an index's files; with their checksums it becomes `folder` on success."""
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not free and not (folder / META).is_file():
        raise InputError(f"{folder} is there and is no index: save to another folder")
    with atomic_path(folder) as made:
        made.mkdir()
        yield made
        checksums = {path.name: checksum(path) for path in sorted(made.iterdir())}
        meta = {"format": FORMAT, "name": name, "settings": settings, "checksums": checksums}
        (made / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def checked_folder(folder: Path) -> tuple[str, dict[str, Any]]:
    """Name and settings of a saved index whose files are as saved: nmslib may abort on junk."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise unreadable(folder, f"its format is {meta['format']}, not {FORMAT}")
        name, settings, checksums = meta["name"], dict(meta["settings"]), dict(meta["checksums"])
        if name not in NAMES:
            raise unreadable(folder, f"the index {name!r} is unknown")
        for file in {VECTORS, GRAPH} if name == "hnsw" else {VECTORS}:
            if checksums[file] != checksum(folder / file):
                raise unreadable(folder, f"{file} is not what was saved")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(folder, f"{type(error).__name__}: {error}") from error
    return name, settings


def unreadable(folder: Path, why: str) -> InputError:
    why = " ".join(why.split())
    return InputError(
        f"the index in {folder} cannot be read ({why}): train the run again, or index the "
        "pictures again (devise-exp index)"
    )
