"""Files that are never half-written: the cache folder, locks, and write-then-rename."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path


def cache_dir() -> Path:
    """The folder of everything that can be made again: $DEVISE_CACHE, else the user's cache
    folder.
    """
    given = os.environ.get("DEVISE_CACHE")
    return Path(given).expanduser() if given else user_cache_path("devise-exp")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of `path` against other processes; waits for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        yield


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary place beside `path` for a file or a folder; it becomes `path` on success
    only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        made = workplace / path.name
        yield made
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif made.is_dir() and not made.is_symlink():  # a folder cannot be renamed over a file
            path.unlink(missing_ok=True)
        made.replace(path)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def checksum(path: Path) -> str:
    """Hash of a file's content, to tell a damaged file from a whole one."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
