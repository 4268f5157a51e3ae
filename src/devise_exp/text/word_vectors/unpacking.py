"""Packed files, told by their first bytes: .gz, .bz2, .xz, and the files in a .zip or .tar.

A file in an archive has the archive's path and its own name there: glove.6B.zip/glove.6B.50d.txt.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from devise_exp.core.errors import InputError

AGAIN = "it is cut short or damaged: fetch it again"

# bz2 raises a bare OSError for damage, which unlike the system's has no number.
_BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)
_PACKED: tuple[tuple[re.Pattern[bytes], Callable[[Any], Any]], ...] = (
    (re.compile(rb"\x1f\x8b"), lambda stream: gzip.GzipFile(fileobj=stream)),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), bz2.BZ2File),
    (re.compile(rb"\xfd7zXZ\0|\x5d\0\0"), lzma.LZMAFile),
)
_UNREADABLE = {
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x04\x22\x4d\x18": "packed by lz4",
    b"\x1f\x9d": "packed by compress",
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_TAR = slice(257, 262)  # where a tar archive says "ustar"
_MAX_LAYERS = 3  # .gz in .gz; an archive of its own bytes would go on for ever
_BLOCK = 1 << 18

Members = Iterator[tuple[str, Callable[[], Any]]]


class Unpacked(io.RawIOBase):
    """The bytes of a packed stream; where it breaks, those before the break and then EOFError."""

    def __init__(self, packed: Any, path: Path) -> None:
        super().__init__()
        self._packed = packed
        self._path = path
        self._problem: Exception | None = None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, less if the stream ends or breaks."""
        view, filled = memoryview(buffer), 0
        while filled < len(view) and self._problem is None:
            piece = self._piece(len(view) - filled)
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        if self._problem is not None and not filled:
            raise self._problem
        return filled

    def _piece(self, size: int) -> bytes:
        """Read up to `size` bytes; keep what is wrong for the next call."""
        try:
            return bytes(self._packed.read1(size))
        except _BROKEN as error:
            if getattr(error, "errno", None):
                raise
            # As gzip itself, pass over what follows the packed content.
            if "Not a gzipped file" not in str(error):
                self._problem = EOFError(str(error))
        except MemoryError:
            self._problem = InputError(
                f"{self._path}: unpacking it needs more memory than there is: unpack it elsewhere"
            )
        return b""


def split_member(path: Path) -> tuple[Path, str]:
    """Split the path of a file in an archive.

    Args:
        path: A file, or a file in an archive.

    Returns:
        The file on disk, and the name inside, "" for the file itself or if there is no such file.
    """
    for file in path.parents:
        if file.is_file():
            return file, path.relative_to(file).as_posix()
    return path, ""


@contextmanager
def unpacked(path: Path, raw: BinaryIO, member: str) -> Iterator[BinaryIO]:
    """Unpack a stream as often as it is packed.

    Args:
        path: For messages.
        raw: The file.
        member: A name as list_members gives it; "" outside an archive.

    Yields:
        The unpacked bytes.

    Raises:
        InputError: It is packed by what cannot be read, or has no such member.
    """
    stream = _without_layers(path, raw)
    with ExitStack() as stack:
        if member:
            with _archive_errors(path):
                packed = _find_member(path, _open_archive(path, stream, stack), member)
            stream = _without_layers(path, _buffered(packed, path))
        yield stream


def list_members(path: Path) -> list[str] | None:
    """List the files in an archive.

    Args:
        path: The archive, which may be packed itself.

    Returns:
        Their names, or None if this is no archive.

    Raises:
        InputError: The archive is damaged.
    """
    with path.open("rb") as raw, ExitStack() as stack, _archive_errors(path):
        members = _open_archive(path, _without_layers(path, raw), stack)
        return None if members is None else [name for name, _ in members]


def _find_member(path: Path, members: Members | None, member: str) -> Any:
    """Open a member of an archive; of several of that name the first."""
    for name, open_member in members or ():
        if name == member:
            return open_member()
    raise InputError(
        f"{path}: {split_member(path)[0].name} is no archive that holds {member}: correct "
        "word_vectors.path"
    )


def _open_archive(path: Path, stream: BinaryIO, stack: ExitStack) -> Members | None:
    """Open a .zip or .tar as names with what opens them; None if it is neither."""
    head = _peek(stream)
    if head.startswith(_ZIP):
        if not stream.seekable():
            raise InputError(f"{path}: a zip archive that is packed again: unpack it first")
        return _zip_members(stack.enter_context(zipfile.ZipFile(stream)))
    if head[_TAR] == b"ustar":
        return _tar_members(stack.enter_context(tarfile.open(fileobj=stream, mode="r|")))
    return None


@contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    """Turn what a damaged archive raises into an InputError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError) as error:
        raise InputError(f"{path}: its list of files cannot be read ({error}); {AGAIN}") from error
    except (NotImplementedError, RuntimeError) as error:  # another packing, or a password
        raise InputError(f"{path}: {error}: unpack it first") from error


def _zip_members(archive: zipfile.ZipFile) -> Members:
    """Yield the files of a zip archive."""
    for info in archive.infolist():
        if not info.is_dir():
            yield _plain(info.filename), partial(archive.open, info)


def _tar_members(archive: tarfile.TarFile) -> Members:
    """Yield the files of a tar archive, each before the next one is looked for."""
    for info in archive:
        if info.isreg():
            yield _plain(info.name), partial(archive.extractfile, info)


def _plain(name: str) -> str:
    """Spell a name in an archive as a path below the archive."""
    return Path(name.replace("\0", "")).as_posix().lstrip("/")


def _without_layers(path: Path, stream: BinaryIO) -> BinaryIO:
    """Peel off .gz, .bz2 and .xz."""
    for _ in range(_MAX_LAYERS):
        head = _peek(stream)
        for magic, what in _UNREADABLE.items():
            if head.startswith(magic):
                raise InputError(
                    f"{path}: this is {what}, which cannot be read here: unpack it and give the "
                    "file inside"
                )
        opener = next((opener for magic, opener in _PACKED if magic.match(head)), None)
        if opener is None:
            break
        stream = _buffered(opener(stream), path)
    return stream


def _buffered(packed: Any, path: Path) -> BinaryIO:
    """Buffer the unpacked bytes, in larger blocks than io's, which cost less each."""
    return io.BufferedReader(Unpacked(packed, path), _BLOCK)


def _peek(stream: BinaryIO) -> bytes:
    """Look at the first bytes."""
    try:
        return bytes(stream.peek(512)[:512])  # type: ignore[attr-defined]
    except EOFError:  # the reader will say where
        return b""
