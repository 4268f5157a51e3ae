"""Which format a file of word vectors has, and the two text formats.

A reader takes a path and gives a VectorSource whose chunks are read when they are asked for, so
memory stays bounded. A broken file raises InputError with the path and the line.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.fasttext_format import MAGIC
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.streams import AGAIN, BROKEN, CHUNK, open_stream

FORMATS = ("glove", "word2vec_text", "word2vec_bin", "fasttext_bin", "gensim_kv")

_PEEK = 1 << 16
_HEADER = re.compile(rb"(\d+)[ \t]+(\d+)\s*\Z")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1b]")


def detect_format(path: Path) -> str:
    """Detect the format by the content; the ending of the name counts only in doubt.

    Args:
        path: A file of word vectors, gzipped or not.

    Returns:
        One of FORMATS.

    Raises:
        InputError: The file is empty, a zip archive, or of no known format.
    """
    sample = _sample(path)
    if not sample:
        raise InputError(f"{path}, line 1: nothing to read; {AGAIN}")
    if sample[:4] == struct.pack("<i", MAGIC):
        return "fasttext_bin"
    if sample[:1] == b"\x80" and sample[1:2] in (b"\2", b"\3", b"\4", b"\5"):  # a pickle
        return "gensim_kv"
    if sample[:4] == b"PK\x03\x04":
        raise InputError(f"{path}: this is a zip archive; unzip it and name the file inside")
    lines = sample.split(b"\n", 2)
    header = _HEADER.match(lines[0])
    if header is None and b"\0" in sample:
        known = ", ".join(FORMATS)
        raise InputError(
            f"{path}: none of the known formats ({known}); set word_vectors.format= if it is one"
        )
    if header is None:
        return "glove"
    if _parsed(lines[1:2], int(header[2]))[2] is None:
        return "word2vec_text"
    binary = _CONTROL.search(sample) or ".bin" in path.suffixes
    return "word2vec_bin" if binary else "word2vec_text"


def read_glove_text(path: Path) -> VectorSource:
    """Read GloVe's text, which has no header: D is the one that most of the first lines have.

    Args:
        path: The file, gzipped or not; words may have spaces in them.

    Returns:
        Its words.
    """
    sample = _sample(path)
    lines = sample.split(b"\n")
    if len(sample) >= _PEEK:
        del lines[-1]  # probably not whole
    sizes = Counter(len(line.split()) - 1 for line in lines if line.strip())
    dim = max(sizes.most_common(1)[0][0] if sizes else 1, 1)
    return VectorSource(path=path, dim=dim, entry="line", chunks=_text_chunks(path, dim, None))


def read_word2vec_text(path: Path) -> VectorSource:
    """Read word2vec's text or fastText's .vec: the first line has the number of words and D.

    Args:
        path: The file, gzipped or not.

    Returns:
        Its words.
    """
    count, dim = read_header(path)
    return VectorSource(path=path, dim=dim, entry="line", chunks=_text_chunks(path, dim, count))


def read_header(path: Path) -> tuple[int, int]:
    """Read the first line of word2vec's formats.

    Args:
        path: The file, gzipped or not.

    Returns:
        The number of words, and D.

    Raises:
        InputError: The first line is not two positive numbers.
    """
    line = _sample(path).partition(b"\n")[0]
    match = _HEADER.match(line)
    if match is None or int(match[1]) < 1 or int(match[2]) < 1:
        raise InputError(
            f"{path}, line 1: expected 'number-of-words dimension', found "
            f"{line[:40].decode('utf-8', 'replace')!r}; text without that line is "
            "word_vectors.format=glove"
        )
    return int(match[1]), int(match[2])


def _sample(path: Path) -> bytes:
    """Return the first 64 KiB, unpacked; less if the file ends or breaks before."""
    pieces = b""
    with open_stream(path) as (stream, _):
        try:
            while len(pieces) < _PEEK and (piece := stream.read1(_PEEK)):  # type: ignore[attr-defined]
                pieces += piece
        except BROKEN:  # the reader will say where
            pass
    return pieces[:_PEEK]


def _text_chunks(path: Path, dim: int, count: int | None) -> Generator[Chunk, None, None]:
    """Yield chunks; at a broken line, first the good ones before it and then InputError."""
    with open_stream(path) as (stream, done):
        if count is not None:
            stream.readline()
        first = 1 if count is None else 2  # the line of the next word
        for lines, after in _batches(stream):
            words, vectors, problem = _parsed(lines, dim)
            left = len(words) if count is None else count + 2 - first
            if len(words) > left:
                words, vectors = words[:left], vectors[:left]
                problem = f"more words than the {count} that the first line promises; correct that"
            yield Chunk(words, vectors, first, done())
            first += len(words)
            if problem or after:
                raise InputError(f"{path}, line {first}: {problem or after}")
        if count is not None and first < count + 2:
            raise InputError(
                f"{path}, line {first}: the file ends before this line, but the first line "
                f"promises {count} words; {AGAIN}"
            )


def _batches(stream: BinaryIO) -> Iterator[tuple[list[bytes], str | None]]:
    """Yield CHUNK lines at a time, and what is wrong with the line after them.

    Only the end of a file may have blank lines.
    """
    lines: list[bytes] = []
    blank = False
    problem = None
    try:
        for line in stream:
            if not line.strip():
                blank = True
                continue
            if blank:
                problem = "the line is empty; remove it"
                break
            lines.append(line)
            if len(lines) == CHUNK:
                yield lines, None
                lines = []
    except BROKEN as error:
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
        if len(fields) != dim + 1:
            problem = f"expected a word and {dim} numbers, found {len(fields)} fields; {AGAIN}"
            break
        try:
            rows.append([float(field) for field in fields[1:]])
        except ValueError as error:
            problem = f"expected a word and {dim} numbers, but {error}; is it a word-vector file?"
            break
        words.append(fields[0])
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which the table refuses
        return words, np.array(rows, np.float32).reshape(-1, dim), problem


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
