"""Files of a saved index: what they are called, their checksums, and the error of damage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, checksum

FORMAT = 1
NAMES = ("exact", "auto", "hnsw", "brute_force", "faiss")
META, VECTORS, GRAPH = "meta.json", "vectors.npy", "graph.bin"


@contextmanager
def writing(folder: Path, name: str, settings: Mapping[str, int | str | None]) -> Iterator[Path]:
    """Write an index: `folder` appears, with checksums, when all is written.

    Args:
        folder: A new folder, or that of an index, which is replaced.
        name: Name of the index.
        settings: Arguments that `load` needs to make the index again.

    Yields:
        A temporary folder for the index's files.

    Raises:
        InputError: The folder holds something else.
    """
    free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not free and not (folder / META).is_file():
        raise InputError(f"{folder} exists and is not an index: save to another folder")
    with atomic_path(folder) as partial:
        partial.mkdir()
        yield partial
        checksums = {path.name: checksum(path) for path in sorted(partial.iterdir())}
        meta = {"format": FORMAT, "name": name, "settings": settings, "checksums": checksums}
        (partial / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


def checked_folder(folder: Path) -> tuple[str, dict[str, Any]]:
    """Check the files of a saved index before they are read: damaged bytes may abort nmslib.

    Args:
        folder: The folder that `save` wrote.

    Returns:
        Name and settings of the index.

    Raises:
        InputError: A file is missing or was changed, or the format is another.
    """
    try:
        for name in (META, VECTORS):
            if not (folder / name).is_file():
                raise unreadable(folder, f"there is no file {name}")
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if meta["format"] != FORMAT:
            raise unreadable(folder, f"its format is {meta['format']}, not {FORMAT}")
        name, settings, checksums = meta["name"], dict(meta["settings"]), dict(meta["checksums"])
        if name not in NAMES:
            raise unreadable(folder, f"the index {name!r} is unknown")
        for file in {*checksums, VECTORS, *((GRAPH,) if name == "hnsw" else ())}:
            if Path(file).name != file:
                raise unreadable(folder, f"{file!r} is no name of a file in it")
            if not (folder / file).is_file() or checksums[file] != checksum(folder / file):
                raise unreadable(folder, f"{file} is not what was saved")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise unreadable(folder, f"{type(error).__name__}: {error}") from error
    return name, settings


def unreadable(folder: Path, reason: str) -> InputError:
    """Make the error of a saved index that cannot be read.

    Args:
        folder: The index's folder.
        reason: Why, in any number of lines.

    Returns:
        The error, in one line.
    """
    reason = " ".join(reason.split())
    return InputError(
        f"the index in {folder} cannot be read ({reason}): train the run again, or index the "
        "images again (devise-exp index)"
    )
