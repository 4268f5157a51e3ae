"""Reading files of word vectors as streams of bytes, packed or not."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from devise_exp.core.console import warn
from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.unpacking import AGAIN, split_member, unpacked

CHUNK = 2048  # words
MAX_DIM = 1 << 16  # a header can claim any
MAX_LINE = 1 << 22  # bytes; 65,536 numbers of 64 letters
_MAX_WORD = 1 << 16  # bytes
_CHUNK_NUMBERS = 1 << 22  # 16 MiB
_BLOCK = 1 << 20
_PEEK = 1 << 16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class FileEndError(EOFError):
    """The file ends; an EOFError of another type says that it is damaged."""


@contextmanager
def open_stream(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
    """Open a file that may be packed, after its byte order mark if it has one.

    Args:
        path: The file, or a file in an archive (see `unpacking`).

    Yields:
        A stream of the unpacked bytes, and a function: the share of the file read so far.
    """
    file, member = split_member(path)
    size = max(file.stat().st_size, 1)
    with file.open("rb") as raw, unpacked(path, raw, member) as stream:
        try:
            if stream.peek(3)[:3] == _BYTE_ORDER_MARK:  # type: ignore[attr-defined]
                stream.read(3)
        except EOFError:  # the first reading says it again
            pass
        yield stream, lambda: min(raw.tell() / size, 1.0)


def read_sample(path: Path) -> bytes:
    """Read the first 64 KiB, or up to the end of a longer first line.

    Args:
        path: The file, packed or not.

    Returns:
        The unpacked bytes; less if the file ends or breaks before.
    """
    pieces = b""
    with open_stream(path) as (stream, _):
        try:
            while len(pieces) < _PEEK or (b"\n" not in pieces and len(pieces) <= MAX_LINE):
                piece = stream.read1(_PEEK)  # type: ignore[attr-defined]
                if not piece:
                    break
                pieces += piece
        except EOFError:  # the reader will say where
            pass
    return pieces


def chunk_rows(dim: int) -> int:
    """Choose how many words are read at a time.

    Args:
        dim: D.

    Returns:
        CHUNK, less for vectors so long that these would take too much memory.
    """
    return max(1, min(CHUNK, _CHUNK_NUMBERS // max(dim, 1)))


def check_count(path: Path, entry: str, count: int, promised: int, whole: bool = True) -> None:
    """Compare the number of words with the one in the first line, which is often a little wrong.

    Args:
        path: The file.
        entry: Where the file ends, such as "line 4".
        count: How many words there are.
        promised: How many the first line promises.
        whole: Whether the last word is whole for certain.

    Raises:
        InputError: So many words are missing that the file must be cut short.
    """
    if not whole and promised - count > max(10, promised // 1000):
        raise InputError(
            f"{path}, {entry}: the file ends in the line before, with {count:,} of the "
            f"{promised:,} words that its first line promises; {AGAIN}"
        )
    if count != promised:
        warn(
            f"{path}: its first line promises {promised:,} words, it holds {count:,}: all of them "
            "are taken; fetch it again if it should hold more"
        )


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
    except EOFError as error:
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
            if len(self._buffer) - self._at > _MAX_WORD:
                break
            self._more()
        if end - self._at > _MAX_WORD or end < 0:
            raise EOFError(f"a word of more than {_MAX_WORD:,} bytes")
        word = self._buffer[self._at : end]
        self._at = end + 1
        return word

    def at_end(self) -> bool:
        """Pass over line ends, and say whether nothing follows.

        Returns:
            False if a word follows, or a break of the file.
        """
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at : self._at + 1] != b"\n":
                    return False
                self._at += 1
            try:
                self._more()
            except FileEndError:
                return True
            except EOFError:
                return False

    def _more(self) -> None:
        """Read another block into the buffer."""
        block = self._read(_BLOCK)
        if not block:
            raise FileEndError("the file ends")
        self._buffer = self._buffer[self._at :] + block
        self._at = 0
