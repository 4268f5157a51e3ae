"""Reading files of word vectors as streams of bytes, packed or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from devise_exp.core.errors import InputError

AGAIN = "it is cut short or damaged: fetch it again"
BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)  # what reading a damaged .gz raises
CHUNK = 2048  # words
_BLOCK = 1 << 20


@contextmanager
def open_stream(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
    """Open a file that may be gzipped.

    Args:
        path: The file.

    Yields:
        A stream of the unpacked bytes, and a function: the share of the file read so far.
    """
    size = max(path.stat().st_size, 1)
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        stream: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        yield stream, lambda: raw.tell() / size


@contextmanager
def locate_break(path: Path, entry: str, part: str) -> Iterator[None]:
    """Turn the early end of a file into an InputError that says where.

    Args:
        path: The file.
        entry: What is being read, such as "word 3 of 10".
        part: The part of the file, such as "header".

    Yields:
        Nothing.

    Raises:
        InputError: The file ends or breaks inside the block.
    """
    try:
        yield
    except BROKEN as error:
        raise InputError(f"{path}, {entry}: {AGAIN} ({error} in the {part})") from error


class Cursor:
    """Takes exact pieces from a stream; raises EOFError if it ends too early."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read: Callable[[int], bytes] = stream.read1  # type: ignore[attr-defined]
        self._buffer = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """Take a number of bytes.

        Args:
            size: How many.

        Returns:
            The bytes.
        """
        while len(self._buffer) - self._at < size:
            self._more()
        self._at += size
        return self._buffer[self._at - size : self._at]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Take the values of a layout.

        Args:
            layout: A format of the module struct.

        Returns:
            The values.
        """
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def until(self, mark: bytes) -> bytes:
        """Take a word and the mark that ends it.

        Args:
            mark: One byte.

        Returns:
            The word without the mark.
        """
        while (end := self._buffer.find(mark, self._at)) < 0:
            if len(self._buffer) - self._at > _BLOCK:
                raise EOFError("a word without an end")
            self._more()
        word = self._buffer[self._at : end]
        self._at = end + 1
        return word

    def _more(self) -> None:
        """Read another block into the buffer."""
        block = self._read(_BLOCK)
        if not block:
            raise EOFError("the file ends")
        self._buffer = self._buffer[self._at :] + block
        self._at = 0
