"""Facebook's fastText models (.bin), with the table that gives unknown words a vector.

The file is read here and not by gensim, which holds several copies of the matrix: over 20 GB for
the published models.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.sources import NGRAMS, Chunk, Subwords, VectorSource
from devise_exp.text.word_vectors.streams import (
    CHUNK,
    MAX_DIM,
    Cursor,
    chunk_rows,
    locate_break,
    open_stream,
)
from devise_exp.text.word_vectors.unpacking import AGAIN

MAGIC = 793712314
_VERSION = 12
_MAX_NGRAM = 64  # letters; published models have 5 or 6
_MAX_NUMBERS = 1 << 25  # of the n-grams that are added up at once: 128 MiB
_HEADER = "<14id"  # magic, version, twelve arguments, sampling threshold
_DICTIONARY = "<3iqq"  # entries, words, labels, tokens, pruned


def read_fasttext_bin(path: Path, folder: Path) -> VectorSource:
    """Read a fastText model and copy its subword table.

    Args:
        path: The model, packed or not.
        folder: The folder of the new table; NGRAMS is written into it.

    Returns:
        Its words, and how they are cut into subwords.

    Raises:
        InputError: The model is a classifier, of another version, or damaged.
    """
    with open_stream(path) as (stream, _), locate_break(path, "word 1", "header"):
        cursor = Cursor(stream)
        magic, version, dim, *arguments, _sampling = cursor.unpack(_HEADER)
        buckets, minn, maxn = arguments[7:10]
        entries, count, labels, _tokens, pruned = cursor.unpack(_DICTIONARY)
    if magic != MAGIC or version > _VERSION:
        raise InputError(
            f"{path}: not a fastText model of version {_VERSION} or before; "
            "set word_vectors.format=auto"
        )
    if labels > 0 or pruned > 0:
        raise InputError(
            f"{path}: a fastText classifier; take an unsupervised model, e.g. cc.en.300.bin"
        )
    sound = 1 <= dim <= MAX_DIM and 0 <= maxn <= _MAX_NGRAM
    if not sound or count < 1 or min(buckets, minn) < 0 or entries != count:
        raise InputError(
            f"{path}, word 1: a header that makes no sense ({dim=}, {count=}); {AGAIN}"
        )
    subwords = Subwords(minn, maxn, buckets) if buckets and maxn else None
    chunks = _chunks(path, folder, (count, buckets, dim), subwords)
    return VectorSource(path=path, dim=dim, entry="word", chunks=chunks, subwords=subwords)


def _chunks(
    path: Path, folder: Path, sizes: tuple[int, int, int], subwords: Subwords | None
) -> Generator[Chunk, None, None]:
    """Yield empty chunks while the rows are copied (they tell the progress), then the words."""
    count, buckets, dim = sizes
    word_rows, ngrams = folder / "word_rows.f32", folder / NGRAMS
    try:
        with open_stream(path) as (stream, done):
            cursor = Cursor(stream)
            words = _read_words(path, cursor, count)
            with locate_break(path, f"word {count} of {count}", "dictionary"):
                quantised, *shape = cursor.unpack("<?qq")
            if quantised:
                raise InputError(f"{path}: a quantised model; take the full .bin or the .vec")
            if shape != [count + buckets, dim]:
                raise InputError(
                    f"{path}, word 1: a matrix of {shape}, not {[count + buckets, dim]}; {AGAIN}"
                )
            copies = [(word_rows, count, "word")]
            copies += [(ngrams, buckets, "subword")] if subwords else []
            for target, length, entry in copies:
                for _ in _copy_rows(path, cursor, target, (length, dim), entry):
                    yield Chunk([], np.empty((0, dim), np.float32), 1, done() / 2)
        yield from _composed(words, word_rows, ngrams, dim, subwords)
    finally:
        word_rows.unlink(missing_ok=True)


def _read_words(path: Path, cursor: Cursor, count: int) -> list[bytes]:
    """Read the dictionary, which follows the header."""
    cursor.unpack(_HEADER)
    cursor.unpack(_DICTIONARY)
    words: list[bytes] = []
    for number in range(1, count + 1):
        with locate_break(path, f"word {number} of {count}", "dictionary"):
            words.append(cursor.until(b"\0"))
            cursor.unpack("<qb")  # how often it occurred, and that it is a word
    return words


def _copy_rows(
    path: Path, cursor: Cursor, target: Path, shape: tuple[int, int], entry: str
) -> Iterator[int]:
    """Copy a float32 matrix to a file, yielding the number of the row now and then."""
    length, dim = shape
    with target.open("wb") as out:
        for row in range(length):
            with locate_break(path, f"{entry} {row + 1} of {length}", "matrix"):
                out.write(cursor.take(4 * dim))
            if row % CHUNK == 0:
                yield row


def _composed(
    words: list[bytes], word_rows: Path, ngrams: Path, dim: int, subwords: Subwords | None
) -> Iterator[Chunk]:
    """Average each word's row and the rows of its n-grams, as fastText does."""
    matrix = np.memmap(word_rows, "<f4", "r", shape=(len(words), dim))
    if subwords is not None:
        table = np.memmap(ngrams, "<f4", "r", shape=(subwords.buckets, dim))
    step = chunk_rows(dim)
    for start in range(0, len(words), step):
        part = words[start : start + step]
        sums = np.array(matrix[start : start + step])  # (n, D)
        if subwords is not None:
            _add_subwords(sums, part, table, subwords)
        yield Chunk(part, sums, start + 1, 0.5 + start / len(words) / 2)


def _add_subwords(
    sums: np.ndarray, words: list[bytes], table: np.ndarray, subwords: Subwords
) -> None:
    """Turn (n, D) rows of words into means with the rows of their n-grams, in place."""
    limit = max(1, _MAX_NUMBERS // table.shape[1])
    rows: list[list[int]] = []
    total = first = 0
    for number, word in enumerate(words, 1):
        rows.append(subwords.rows(word.decode("utf-8", "replace")))
        total += len(rows[-1])
        if number == len(words) or total > limit:
            _add_rows(sums[first:number], rows, table, limit)
            rows, total, first = [], 0, number


def _add_rows(sums: np.ndarray, rows: list[list[int]], table: np.ndarray, limit: int) -> None:
    """Turn rows of words into means with rows of the table, at most `limit` of a word at once."""
    counts = np.array([len(row) for row in rows])
    long = counts > limit
    for i in np.flatnonzero(long).tolist():
        for start in range(0, len(rows[i]), limit):
            sums[i] += table[rows[i][start : start + limit]].sum(axis=0)
    short = (counts > 0) & ~long  # a short word may have no n-gram
    if short.any():
        kept = [row for i, row in enumerate(rows) if short[i]]
        gathered = table[[row for word_rows in kept for row in word_rows]]
        starts = np.cumsum(counts[short]) - counts[short]
        sums[short] += np.add.reduceat(gathered, starts, axis=0)
    sums /= (counts + 1)[:, None]
