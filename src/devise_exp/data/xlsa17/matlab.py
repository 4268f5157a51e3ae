"""Arrays of MATLAB files of versions 5 to 7, which may be anybody's: each is checked by its shape
and type before it is loaded. Whatever is wrong is an InputError that names file and array.

The format (The MathWorks: MAT-File Format, level 5): a header of 128 bytes, then elements, each of
a tag (type and length), its bytes and padding to eight. An array is an element of elements; since
version 7 it is packed by zlib. It is read here because scipy's reader crashes on damaged files.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from devise_exp.core.errors import InputError

MOST_NUMBERS = 1 << 29  # 4 GiB of doubles; a packed file can claim any size
MOST_TEXTS = 1_000_000
MOST_TEXT = 1 << 27  # bytes of all texts of an array
_LONGEST = 1 << 16  # bytes of a name, a shape or a text
_BLOCK = 1 << 22
_PACKED_BLOCK, _UNPACKED_BLOCK = 1 << 16, 1 << 20  # at once: what is left of the first is copied
_HEADER = 128
_MATRIX, _PACKED = 14, 15
_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CODED = {1: "utf-8", 2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
_KINDS = {1: "cells", 2: "structures", 3: "objects", 4: "text", 5: "sparse numbers"}
_KINDS |= dict.fromkeys(range(6, 16), "numbers")
PUBLISHED = "take the published file"


class _DamagedError(Exception):
    """Bytes that cannot be of this format."""


class _Stream:
    """The bytes of a top-level element in order, unpacked where they are packed."""

    def __init__(self, file: BinaryIO, size: int, packed: bool) -> None:
        self.position = 0
        self._file, self._left = file, size
        self._unpacker = zlib.decompressobj() if packed else None
        self._unpacked, self._used = b"", 0  # and how much of it was read

    def read(self, n: int) -> bytes:
        """Exactly `n` bytes."""
        self.position += n
        if self._unpacker is None:
            return self._raw(n)
        parts: list[bytes] = []
        while n:
            if self._used == len(self._unpacked):
                self._unpacked, self._used = self._block(self._unpacker), 0
            part = self._unpacked[self._used : self._used + n]
            parts.append(part)
            self._used += len(part)
            n -= len(part)
        return b"".join(parts)

    def check_end(self) -> None:
        """All was read; of packed bytes this is where their checksum is."""
        if self._unpacker is None:
            whole = not self._left
        else:
            rest = self._unpacker.unconsumed_tail + self._raw(min(_PACKED_BLOCK, self._left))
            over = self._unpacked[self._used :] + self._unpacker.decompress(rest, 1)
            whole = not over and self._unpacker.eof
        if not whole:
            raise _DamagedError

    def tag(self) -> tuple[int, int, bytes | None]:
        """Type and length of the next element, with its bytes where they stand within the tag."""
        kind, length = struct.unpack("<II", tag := self.read(8))
        if not kind >> 16:
            return kind, length, None
        kind, length = kind & 0xFFFF, kind >> 16
        if length > 4:
            raise _DamagedError
        return kind, length, tag[4 : 4 + length]

    def short(self) -> tuple[int, bytes]:
        """Type and bytes of the next element, which is no long one."""
        kind, length, content = self.tag()
        if length > _LONGEST:
            raise _DamagedError
        if content is None:
            content = self.read(length)
            self.read(-length % 8)
        return kind, content

    def _block(self, unpacker: zlib._Decompress) -> bytes:
        """The next unpacked bytes, at least one."""
        while True:
            waiting = unpacker.unconsumed_tail or self._raw(min(_PACKED_BLOCK, self._left))
            if part := unpacker.decompress(waiting, _UNPACKED_BLOCK):
                return part
            if unpacker.eof or not waiting:
                raise _DamagedError

    def _raw(self, n: int) -> bytes:
        found = self._file.read(n) if n <= self._left else b""
        if len(found) != n:
            raise _DamagedError
        self._left -= n
        return found


@dataclass(frozen=True)
class _Array:
    """The head of an array, whose content is next in the stream."""

    name: str
    kind: str
    shape: tuple[int, ...]


def shape(file: Path, key: str, expected: tuple[int | None, int | None]) -> tuple[int, int]:
    """The shape of the numbers `key`, of which nothing is loaded; None expects any length."""
    with _opened(file, key) as (array, _):
        return _checked(file, array, expected)


def numbers(file: Path, key: str, expected: tuple[int | None, int | None]) -> np.ndarray:
    """The real numbers `key` as they are stored, column by column; `expected` as in `shape`."""
    with _opened(file, key) as (array, stream):
        wanted = _checked(file, array, expected)
        kind, length, content = stream.tag()
        dtype = np.dtype(f"<{_STORED.get(kind, 'V1')}")
        if dtype.kind == "V" or length != math.prod(wanted) * dtype.itemsize:
            raise _DamagedError
        found = np.empty(math.prod(wanted), dtype)
        as_bytes = found.view(np.uint8)
        for start in range(0, length, _BLOCK):
            stop = min(start + _BLOCK, length)
            part = stream.read(stop - start) if content is None else content
            as_bytes[start:stop] = np.frombuffer(part, np.uint8)
        if content is None:
            stream.read(-length % 8)
        stream.check_end()
    return found.reshape(wanted, order="F")


def texts(file: Path, key: str) -> tuple[str, ...]:
    """The texts of the cells `key`, none of them empty or with signs that steer a terminal."""
    found: list[str] = []
    size = 0
    with _opened(file, key) as (array, stream):
        count = math.prod(array.shape)
        if array.kind != "cells" or not 0 < count <= MOST_TEXTS:
            raise InputError(
                f"{file}: {key} is {array.kind} of {_times(array.shape)}, not cells of 1 to "
                f"{MOST_TEXTS:,} texts: {PUBLISHED}"
            )
        for i in range(count):
            text = _text(stream)
            if not text.strip() or not text.isprintable():
                raise InputError(f"{file}: {key} {i + 1} is not one line of text: {PUBLISHED}")
            found.append(text.strip())
            size += len(text.encode())
            if size > MOST_TEXT:
                raise InputError(
                    f"{file}: {key} holds more than {MOST_TEXT:,} bytes of text: {PUBLISHED}"
                )
        stream.check_end()
    return tuple(found)


def _text(stream: _Stream) -> str:
    """The text in the next cell; "" where it is none."""
    kind, length, _ = stream.tag()
    end = stream.position + length
    if kind != _MATRIX or length > _LONGEST:
        raise _DamagedError
    array = _head(stream) if length else _Array("", "empty", (0,))
    text = ""
    if array.kind == "text" and array.shape[0] == 1 and len(array.shape) == 2:
        coding, content = stream.short()
        text = content.decode(_CODED.get(coding, "utf-8"))
    if stream.position > end:
        raise _DamagedError
    stream.read(end - stream.position)
    return text


def _checked(file: Path, array: _Array, expected: tuple[int | None, int | None]) -> tuple[int, int]:
    found = array.shape
    if array.kind != "numbers":
        raise InputError(f"{file}: {array.name} is {array.kind}, not real numbers: {PUBLISHED}")
    fits = len(found) == 2 and all(
        want in (None, n) for n, want in zip(found, expected, strict=True)
    )
    if not fits or not 0 < math.prod(found) <= MOST_NUMBERS:
        wanted = " x ".join("any" if n is None else str(n) for n in expected)
        raise InputError(
            f"{file}: {array.name} is {_times(found)}, not {wanted} (and no more than "
            f"{MOST_NUMBERS:,} numbers): {PUBLISHED}"
        )
    return found[0], found[1]


@contextmanager
def _opened(file: Path, key: str) -> Iterator[tuple[_Array, _Stream]]:
    """The head of the array `key` and the stream of what follows it."""
    if not file.is_file():
        raise InputError(f"{file}: no such file: {PUBLISHED}")
    others: list[str] = []
    try:
        with file.open("rb") as opened:
            for array, stream in _arrays(file, opened):
                if array.name == key:
                    yield array, stream
                    return
                others.append(repr(array.name))
    except (_DamagedError, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: damaged, or not of MATLAB 5 to 7: get the published file again"
        ) from error
    raise InputError(
        f"{file}: holds no {key} (it has {', '.join(sorted(others)[:10]) or 'none'}): {PUBLISHED}"
    )


def _arrays(file: Path, opened: BinaryIO) -> Iterator[tuple[_Array, _Stream]]:
    """The head of every array of the file, in its order."""
    start = opened.read(_HEADER)
    if start[124:] == b"\0\2IM":
        raise InputError(
            f"{file}: of MATLAB 7.3 (HDF5), which is not read here: save it again with -v7"
        )
    if start[124:] != b"\0\1IM":  # of big-endian machines there are none any more
        raise _DamagedError
    place = _HEADER
    while tag := opened.read(8):
        kind, length = struct.unpack("<II", tag)
        stream = _Stream(opened, length, kind == _PACKED)
        if kind == _PACKED:
            kind, _, _ = stream.tag()
        if kind != _MATRIX:
            raise _DamagedError
        yield _head(stream), stream
        place += 8 + length
        opened.seek(place)


def _head(stream: _Stream) -> _Array:
    _, flags = stream.short()
    flag, _ = struct.unpack("<II", flags)
    _, lengths = stream.short()
    dimensions = struct.unpack(f"<{len(lengths) // 4}i", lengths)
    if len(dimensions) < 2 or min(dimensions) < 0:
        raise _DamagedError
    _, name = stream.short()
    kind = "complex numbers" if flag & 0x800 else _KINDS.get(flag & 0xFF, "of an unknown kind")
    return _Array(name.decode(), kind, dimensions)


def _times(found: tuple[int, ...]) -> str:
    return " x ".join(map(str, found))
