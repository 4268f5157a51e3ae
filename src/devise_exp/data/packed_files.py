"""Images inside larger files, read without unpacking: members of tar shards, rows of Arrow files.

An image has a path as if its file were a folder: shard-000.tar/1536+20480/000123.jpg (where its
bytes begin, and how many they are), or data-00000-of-00001.arrow/image/123. Nothing is ever written
to such a path.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from devise_exp.core.files import file_stamp

TAR, ARROW = ".tar", ".arrow"
_KINDS = (TAR, ARROW)
_LARGEST_HEADER = 2**20  # bytes; names and notes of a member, which tarfile reads whole
_UNREADABLE = "cannot be read"
_MEMBER = re.compile(r"(\d{1,15})\+(\d{1,15})/")

Member = tuple[int, int]  # where its bytes begin, and how many they are


class _Headers:
    """A file of which no single read is large, so that a forged header does not fill the memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        if not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def tar_members(path: str | Path) -> Iterator[tuple[str, Member]]:
    """List the plain files of a tar archive without reading them.

    Args:
        path: An uncompressed tar archive.

    Yields:
        The name of each, without what leads out of the archive, and where its bytes begin and how
        many they are. Links, devices and sparse files are passed over.

    Raises:
        OSError: If the archive cannot be read.
        tarfile.TarError: If it is damaged.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        archive = tarfile.TarFile(fileobj=_Headers(file))  # type: ignore[arg-type]
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # it keeps all of them
            if not member.isreg() or member.sparse is not None:
                continue
            if member.offset_data + member.size > size:
                raise tarfile.ReadError("cut off")
            yield _within(member.name), (member.offset_data, member.size)


def _within(name: str) -> str:
    """A name that stays inside: no empty folder, none that is above."""
    names = (part for part in name.split("/") if part not in ("", "."))
    return "/".join("__" if part == ".." else part for part in names)


def packed_path(path: str) -> tuple[str, str] | None:
    """Split the path of a packed image.

    Args:
        path: A path.

    Returns:
        The file that holds the image, and the image's name in it; None if no file above it is of
        such a kind.
    """
    for kind in _KINDS:
        at = path.find(f"{kind}/")
        while at >= 0:
            file = path[: at + len(kind)]
            if os.path.isfile(file):  # noqa: PTH113 (ten times slower)
                return file, path[at + len(kind) + 1 :]
            at = path.find(f"{kind}/", at + 1)
    return None


def image_exists(path: str | Path | None) -> bool:
    """Tell whether an image can be looked for on disk.

    Args:
        path: A file, or a packed image; None: it has none.

    Returns:
        Whether the file, or the one that holds the image, is there.
    """
    if path is None or str(path) == "":
        return False
    return Path(path).is_file() or packed_path(str(path)) is not None


def image_stamp(path: Path) -> str:
    """Note the state of an image file, or of the one that holds the image.

    Args:
        path: A file, or a packed image.

    Returns:
        As of file_stamp.
    """
    if stamp := file_stamp(path):
        return stamp
    packed = packed_path(str(path))
    return file_stamp(Path(packed[0])) if packed else ""


def changed_at(path: Path) -> float:
    """Tell when an image file, or the one that holds the image, was last changed.

    Args:
        path: A file, or a packed image.

    Returns:
        Seconds since 1970.

    Raises:
        OSError: If there is no such file.
    """
    packed = packed_path(str(path))
    return (Path(packed[0]) if packed else path).stat().st_mtime


def read_packed(path: str, largest: int) -> bytes | str:
    """Read a packed image.

    Args:
        path: Its path.
        largest: Bytes that it may have.

    Returns:
        Its bytes, or why they cannot be used.
    """
    packed = packed_path(path)
    if packed is None:
        return f"{_UNREADABLE}: No such file or directory"
    file, name = packed
    stamp = file_stamp(Path(file))
    try:
        if file.endswith(ARROW):
            return _arrow_bytes(file, stamp, name, largest)
        return _tar_bytes(file, name, largest)
    except (OSError, tarfile.TarError, ValueError) as error:
        return f"{_UNREADABLE}: {Path(file).name}: {' '.join(str(error).split())[:100]}"


def member_path(shard: Path, name: str, member: Member) -> str:
    """Write the path of a member of a tar archive.

    Args:
        shard: The archive.
        name: As of tar_members.
        member: As of tar_members.

    Returns:
        The path, which read_packed reads without a look at the other members.
    """
    offset, size = member
    return f"{shard}/{offset}+{size}/{name}"


def _tar_bytes(file: str, name: str, largest: int) -> bytes | str:
    """The bytes of a member OFFSET+SIZE/NAME, if the archive still has one of this size there."""
    match = _MEMBER.match(name)
    if match is None:
        return f"{_UNREADABLE}: {name[:50]} says not where it is in {Path(file).name}"
    offset, size = map(int, match.groups())
    if size > largest:
        return f"too large: {size:,} bytes"
    with Path(file).open("rb") as stream:
        stream.seek(max(0, offset - tarfile.BLOCKSIZE))
        header = tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        if not header.isreg() or header.size != size:
            raise tarfile.ReadError("changed since then")
        return stream.read(size)


def _arrow_bytes(file: str, stamp: str, name: str, largest: int) -> bytes | str:
    """The bytes of an image in a column of an Arrow file, COLUMN/ROW."""
    column, _, row = name.rpartition("/")
    values = _arrow_column(file, stamp, column)
    if isinstance(values, str):
        return values
    if not row.isdecimal() or int(row) >= len(values):
        return f"{_UNREADABLE}: no row {row[:20]} in {Path(file).name}"
    cell = values[int(row)]
    content = cell["bytes"].as_buffer() if cell.is_valid and cell["bytes"].is_valid else None
    if content is None:
        return f"{_UNREADABLE}: no image in this row"
    return f"too large: {content.size:,} bytes" if content.size > largest else content.to_pybytes()


@lru_cache(maxsize=128)
def _arrow_column(file: str, stamp: str, column: str) -> Any:
    """A column of an Arrow file in a state, mapped into memory; or why it cannot be read."""
    try:
        import pyarrow as pa  # late: an extra
    except ImportError:
        return f"{_UNREADABLE}: this needs pyarrow: pip install 'devise-exp[hf]'"
    try:
        table = pa.ipc.open_stream(pa.memory_map(file)).read_all()
        values = table.column(column)
        values.validate(full=True)  # a forged offset would be read outside of the file
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        return f"{_UNREADABLE}: {' '.join(str(error).split())[:100]}"
    kind = values.type
    if not (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0):
        return f"{_UNREADABLE}: column {column} holds no images"
    return values
