"""Standard streams that lose text rather than fail: a terminal, a pipe, a full disk end nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

# Signs of our own texts in ASCII; any other character becomes its escape.
_ASCII = str.maketrans(
    {
        **{"±": "+-", "×": "x", "…": "...", "→": "->", "≥": ">=", "≤": "<=", "•": "*", "·": "-"},
        **{"–": "-", "—": "-", "−": "-", "─": "-", "━": "-", "═": "=", "│": "|", "┃": "|"},
        **{"“": '"', "”": '"', "’": "'", "‘": "'"},
    }
)


class LastingStream:
    """A text stream that never raises when it is written to.

    A character that its encoding lacks becomes a plainer one or an escape. A stream that cannot be
    written any more (a closed pipe, a full disk) takes the rest of the text without keeping it;
    unless its reader has closed it, a line on stderr says so.

    Args:
        stream: The stream; None if the process has none.
        name: stdout or stderr, for the line.
        process_wide: Whether the stream is that of the whole process, whose file may be replaced.
    """

    def __init__(self, stream: IO[str] | None, name: str, process_wide: bool = False) -> None:
        self.stream, self.name, self.process_wide = stream, name, process_wide
        self.closed_by_reader = False
        self.is_retired = False  # by the end of its command; what still writes then is a library
        self.failure: str | None = None if stream is not None else "it is closed"

    @property
    def encoding(self) -> str:
        """Name of the encoding."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text, or lose it.

        Args:
            text: Any text.

        Returns:
            Its length.
        """
        plain = encodable(text, self.encoding)
        if self.failure is None and self.stream is not None:
            try:
                self.stream.write(plain)
            except (OSError, ValueError) as error:  # ValueError: the file is closed
                self._lose(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts, or lose them.

        Args:
            lines: The texts.
        """
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what was written, or lose it."""
        if self.failure is None and self.stream is not None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def close(self) -> None:
        """Leave the stream open, as it is the process's; handlers of some libraries close it."""
        self.flush()

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal.

        Returns:
            False for a file, a pipe or no stream at all.
        """
        try:
            return self.failure is None and self.stream is not None and self.stream.isatty()
        except ValueError:
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _lose(self, error: OSError | ValueError) -> None:
        """Write nothing any more, and say why unless the reader has closed the pipe."""
        self.closed_by_reader = isinstance(error, BrokenPipeError | ConnectionError)
        self.failure = getattr(error, "strerror", None) or str(error)
        if self.process_wide:
            with suppress(OSError, ValueError):  # else Python writes the rest as it ends, and fails
                assert self.stream is not None
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.stream.fileno())
                os.close(nowhere)
        if self.name == "stdout" and not (self.closed_by_reader or self.is_retired):
            text = f"warning: stdout: {self.failure}: the rest of what is printed is lost\n"
            _lasting("stderr").write(text)


def encodable(text: str, encoding: str) -> str:
    r"""Replace the characters that an encoding lacks.

    Args:
        text: Any text.
        encoding: Name of the encoding.

    Returns:
        The text, with plainer signs or escapes for those characters.

    Example:
        >>> encodable("5 ± 1 % of Bücher", "ascii")
        '5 +- 1 % of B\\xfccher'
    """
    if _has(encoding, text):
        return text
    plain = "".join(c if _has(encoding, c) else c.translate(_ASCII) for c in text)
    return plain.encode(encoding, "backslashreplace").decode(encoding)


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def stdout() -> IO[str]:
    """Find the present sys.stdout, which a test or a launcher may have replaced.

    Returns:
        It, as a stream that never raises.
    """
    return cast(IO[str], _lasting("stdout"))


def stderr() -> IO[str]:
    """Find the present sys.stderr, which a test or a launcher may have replaced.

    Returns:
        It, as a stream that never raises.
    """
    return cast(IO[str], _lasting("stderr"))


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Let no library fail by what it prints while the block runs.

    A standard stream that the process was started without (2>&-) drops what is written: else the
    next file that is opened would have its number, and get what native code prints.

    Yields:
        Nothing; sys.stdout and sys.stderr are LastingStreams inside the block.
    """
    _open_standard_numbers()
    before = sys.stdout, sys.stderr
    sys.stdout = cast(Any, _lasting("stdout", process_wide=True))
    sys.stderr = cast(Any, _lasting("stderr", process_wide=True))
    try:
        yield
    finally:
        for stream, replaced in zip((sys.stdout, sys.stderr), before, strict=True):
            if stream is not None:
                stream.flush()
            if stream is not replaced and isinstance(stream, LastingStream):
                stream.is_retired = True
        sys.stdout, sys.stderr = before


def _open_standard_numbers() -> None:
    """Give the numbers 0 to 2 to no other file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


@contextmanager
def without_stderr() -> Iterator[None]:
    """Drop what native code writes to stderr, past Python's own stream.

    Yields:
        Nothing; stderr is dropped inside the block.
    """
    stderr().flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def all_printed() -> bool:
    """Tell whether stdout took all that was printed.

    Returns:
        False if text is lost, as on a full disk; not if nobody reads it: the reader has closed the
        pipe, or the process was started without stdout.
    """
    stream = sys.stdout
    if not isinstance(stream, LastingStream):
        return True
    stream.flush()
    return stream.failure is None or stream.closed_by_reader or stream.stream is None


def _lasting(name: str, process_wide: bool = False) -> LastingStream:
    stream = getattr(sys, name)
    if isinstance(stream, LastingStream):
        return stream
    return LastingStream(stream, name, process_wide)
