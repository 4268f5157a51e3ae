"""Files that are never half-written: the cache folder, locks, write-then-rename, fingerprints."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from devise_exp.core.errors import InputError, is_full_disk

BLOCK = 1 << 22  # bytes that are read at once


def cache_dir() -> Path:
    """Find the folder for everything that can be computed again.

    Returns:
        $DEVISE_CACHE if it is set, else the user's cache folder.
    """
    chosen = os.environ.get("DEVISE_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("devise-exp")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a path against other processes; wait for whoever has it.

    Args:
        path: The path to guard; the lock is `path`.lock beside it.

    Yields:
        Nothing; the lock is held inside the block.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        yield


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Write a file or a folder completely or not at all.

    Args:
        path: Where the result belongs; whatever is there is replaced on success only.

    Yields:
        A temporary path beside `path`, of the same name, to write to.

    Raises:
        OSError: The disk is full; the error names `path`, which that of a library often does not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        temporary = workplace / path.name
        yield temporary
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif temporary.is_dir() and not temporary.is_symlink():
            path.unlink(missing_ok=True)  # a folder cannot be renamed over a file
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        if is_full_disk(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        try:
            shutil.rmtree(workplace, ignore_errors=True)
        except KeyboardInterrupt:  # Ctrl-C came while the folder was removed
            shutil.rmtree(workplace, ignore_errors=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write a text file completely or not at all, as UTF-8 and with its line ends as they are.

    Args:
        path: The file, replaced on success only; its folder is made if need be.
        text: The content.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def fingerprint(*parts: str | bytes | Iterable[str | bytes], size: int = 16) -> str:
    r"""Hash contents to a short name: a cache key, or what tells two versions apart.

    Args:
        *parts: Texts (hashed as UTF-8), bytes, or iterables of them, which are read one piece at a
            time. Only the joined bytes count, so separate the parts if their borders matter.
        size: Bytes of the hash.

    Returns:
        The BLAKE2b hash as 2 * size hexadecimal digits.

    Example:
        >>> fingerprint("okapi", b"\\0", size=4) == fingerprint(["oka", "pi\\0"], size=4)
        True
    """
    digest = hashlib.blake2b(digest_size=size)
    for part in parts:
        for piece in (part,) if isinstance(part, str | bytes) else part:
            digest.update(encoded(piece) if isinstance(piece, str) else piece)
    return digest.hexdigest()


def encoded(text: str) -> bytes:
    """Encode a text as UTF-8, also one that holds the name of a file that is no UTF-8.

    Args:
        text: The text; Python writes a byte that it cannot decode as a lone surrogate.

    Returns:
        Different bytes for different texts.
    """
    return text.encode("utf-8", "surrogatepass")


def checksum(path: Path) -> str:
    """Hash a file's content, to tell a damaged file from an intact one.

    Args:
        path: The file.

    Returns:
        The fingerprint of its bytes.
    """
    return fingerprint(_blocks(path))


@contextmanager
def gzipped_table(path: Path, what: str, maker: str) -> Iterator[Iterator[list[str]]]:
    """Read a table of the project; an error of the block is that of a damaged file.

    Args:
        path: Gzipped lines of fields between tabs.
        what: What it is a table of, for the message.
        maker: The script that makes it, for the message.

    Yields:
        The fields of each line.

    Raises:
        InputError: The file cannot be read, or the block raises ValueError over its content.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield (line.rstrip("\n").split("\t") for line in lines)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path} is not a table of {what} ({error}): make it with {maker}"
        ) from None


def file_stamp(path: Path) -> str:
    """Note the state of a file, to see later whether it is still the same.

    Args:
        path: The file.

    Returns:
        Its size and time, "" if they cannot be read.
    """
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def _blocks(path: Path) -> Iterator[bytes]:
    """Read a file block by block."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
