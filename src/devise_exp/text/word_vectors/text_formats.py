"""The two text formats of word vectors: GloVe's, and that of word2vec and fastText's .vec.

A reader takes a path and gives a VectorSource whose chunks are read when they are asked for, so
memory stays bounded. A broken file raises InputError with the path and the line.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.streams import (
    MAX_DIM,
    MAX_LINE,
    check_count,
    chunk_rows,
    open_stream,
    read_sample,
)
from devise_exp.text.word_vectors.unpacking import AGAIN

HEADER = re.compile(rb"\s*(\d{1,15})[ \t]+(\d{1,15})\s*\Z")

_NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
_BATCH_BYTES = 1 << 24
_ASK = "is it a word-vector file?"


def read_glove_text(path: Path) -> VectorSource:
    """Read GloVe's text, which has no header: D is the one that most of the first lines have.

    Args:
        path: The file, packed or not; words may have spaces in them. A header is passed over.

    Returns:
        Its words.
    """
    sample = read_sample(path)
    lines = sample.split(b"\n")
    if is_word2vec_text(lines):
        return read_word2vec_text(path)
    if len(lines) > 1:
        del lines[-1]  # empty, or probably not whole
    sizes = Counter(len(line.split()) - 1 for line in lines if line.strip())
    dim = max(1, max(sizes, key=lambda size: (sizes[size], size), default=1))
    _check_line_ends(path, sample)
    return VectorSource(path=path, dim=dim, entry="line", chunks=_text_chunks(path, dim, None))


def read_word2vec_text(path: Path) -> VectorSource:
    """Read word2vec's text or fastText's .vec: the first line has the number of words and D.

    Args:
        path: The file, packed or not.

    Returns:
        Its words.
    """
    count, dim = read_header(path)
    return VectorSource(path=path, dim=dim, entry="line", chunks=_text_chunks(path, dim, count))


def is_word2vec_text(lines: Sequence[bytes]) -> bool:
    """Tell whether lines are a header and a word that agrees with it.

    Args:
        lines: The first lines of a file.

    Returns:
        False if the first word is missing.
    """
    header = HEADER.match(lines[0])
    if header is None or len(lines) == 1 or int(header[2]) < 1:
        return False
    return _parsed([*lines[1:2]], int(header[2]))[2] is None


def read_header(path: Path) -> tuple[int, int]:
    """Read the first line of word2vec's formats.

    Args:
        path: The file, packed or not.

    Returns:
        The number of words, and D.

    Raises:
        InputError: The first line is not two positive numbers, or D is no dimension.
    """
    sample = read_sample(path)
    _check_line_ends(path, sample)
    line = sample.partition(b"\n")[0]
    match = HEADER.match(line)
    if match is None or int(match[1]) < 1 or int(match[2]) < 1:
        raise InputError(
            f"{path}, line 1: expected 'number-of-words dimension', found "
            f"{line[:40].decode('utf-8', 'replace')!r}; text without that line is "
            "word_vectors.format=glove"
        )
    if int(match[2]) > MAX_DIM:
        raise InputError(
            f"{path}, line 1: {int(match[2]):,} numbers a word are more than the {MAX_DIM:,} that "
            "are read: correct the first line"
        )
    return int(match[1]), int(match[2])


def _check_line_ends(path: Path, sample: bytes) -> None:
    """Refuse the line ends of old Macs, with which all words are one line."""
    if b"\r" in sample.rstrip() and b"\n" not in sample:
        raise InputError(
            f"{path}, line 1: its lines end in CR alone: convert them, e.g. "
            f"tr '\\r' '\\n' < {path.name} > new.txt"
        )


def _text_chunks(path: Path, dim: int, promised: int | None) -> Generator[Chunk, None, None]:
    """Yield chunks; at a broken line, first the good ones before it and then InputError."""
    header = 0 if promised is None else 1
    count, whole = 0, True
    with open_stream(path) as (stream, done):
        for lines, after in _batches(stream, chunk_rows(dim), header):
            words, vectors, problem = _parsed(lines, dim)
            yield Chunk(words, vectors, count + header + 1, done())
            count += len(words)
            whole = lines[-1].endswith(b"\n") if lines else whole
            if problem or after:
                raise InputError(f"{path}, line {count + header + 1}: {problem or after}")
    if promised is not None:
        check_count(path, f"line {count + 2}", count, promised, whole)


def _batches(
    stream: BinaryIO, length: int, header: int
) -> Iterator[tuple[list[bytes], str | None]]:
    """Yield `length` lines at a time, and what is wrong with the line after them.

    Only the end of a file may have blank lines.
    """
    lines: list[bytes] = []
    size = 0
    blank = False
    problem = None
    try:
        for number, line in enumerate(iter(partial(stream.readline, MAX_LINE + 1), b"")):
            if number < header:
                continue
            if len(line) > MAX_LINE:
                problem = f"more than {MAX_LINE:,} bytes without a line end; {_ASK}"
                break
            if not line.strip():
                blank = True
                continue
            if blank:
                problem = "the line is empty; remove it"
                break
            lines.append(line)
            size += len(line)
            if len(lines) == length or size > _BATCH_BYTES:
                yield lines, None
                lines, size = [], 0
    except EOFError as error:
        problem = f"{AGAIN} ({error})"
    yield lines, problem


def _parsed(lines: list[bytes], dim: int) -> tuple[list[bytes], np.ndarray, str | None]:
    """Parse words and (n, dim) float32 vectors up to a broken line; say what is wrong with it."""
    pairs = [line.rstrip().partition(b" ") for line in lines]
    vectors = _numbers([rest for _, _, rest in pairs], dim)
    if vectors is not None:
        return [word for word, _, _ in pairs], vectors, None
    words: list[bytes] = []
    rows: list[list[float]] = []
    problem = None
    for line in lines:  # slower: words with spaces in them, odd spacing, or a broken line
        fields = line.rsplit(None, dim)
        if len(fields) == dim and line[:1].isspace():
            fields.insert(0, b"")  # a word without letters
        problem = _problem(line, fields, dim)
        if problem is not None:
            break
        rows.append([float(field) for field in fields[1:]])
        words.append(fields[0])
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which the table refuses
        return words, np.array(rows, np.float32).reshape(-1, dim), problem


def _problem(line: bytes, fields: list[bytes], dim: int) -> str | None:
    """Say what is wrong with a line, cut into its word and `dim` numbers; None if nothing is."""
    expected = f"expected a word and {dim} numbers"
    remedy = "correct or remove the line" if line.endswith(b"\n") else AGAIN
    if len(fields) != dim + 1:
        if line.count(b",") >= dim:
            return f"{expected} between spaces, found commas; put spaces for them"
        return f"{expected}, found a word and {len(line.split()) - 1}; {remedy}"
    try:
        _ = [float(field) for field in fields[1:]]
    except ValueError as error:
        comma = any(re.fullmatch(rb"-?\d+,\d+", field) for field in fields[1:])
        return f"{expected}, but {error}; {'write numbers with points' if comma else _ASK}"
    more = fields[0].split()[1:]
    digits = all(field.isdigit() for field in more)  # as in "route 66", a word of two parts
    if more and all(map(_NUMBER.match, more)) and not (digits and b"." in b"".join(fields[1:])):
        return f"{expected}, found a word and {len(more) + dim}; {remedy}"
    return None


def _numbers(texts: list[bytes], dim: int) -> np.ndarray | None:
    """Parse (n, dim) float32 if each text is `dim` numbers with single spaces, else None."""
    if any(text.count(b" ") != dim - 1 for text in texts):
        return None
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error", DeprecationWarning)  # of a non-number, by older numpy
        try:
            values = np.fromstring(b" ".join(texts), np.float32, sep=" ")
        except (ValueError, DeprecationWarning):
            return None
    return values.reshape(-1, dim) if values.size == len(texts) * dim else None
