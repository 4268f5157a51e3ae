"""Word vectors of words and an array, for a function of one's own."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir, fingerprint
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.table import open_or_build
from devise_exp.text.word_vectors.vectors import WordVectors


def word_vectors_of(name: str, words: Sequence[str], vectors: np.ndarray) -> WordVectors:
    """Make word vectors of an array.

    Args:
        name: For tables and messages.
        words: n words, the most frequent first.
        vectors: (n, D) their vectors, of any length but 0.

    Returns:
        The word vectors, at unit length.

    Raises:
        InputError: There is not one finite vector for each word, or a word is there twice.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2 or len(array) != len(words) or not array.size:
        raise InputError(f"{name}: vectors {array.shape} for {len(words)} words: give (n, D)")
    wrong = ~(np.isfinite(array).all(axis=1) & array.any(axis=1))
    if wrong.any():
        raise InputError(
            f"{name}: the vector of {words[int(wrong.argmax())]!r} is all zero or not finite: "
            "leave the word out"
        )
    if len(set(words)) < len(words):
        twice = next(word for i, word in enumerate(words) if word in words[:i])
        raise InputError(f"{name}: {twice!r} is there twice: leave one out")
    content = fingerprint(repr(list(words)), array.tobytes())

    def chunks() -> Generator[Chunk, None, None]:
        yield Chunk([word.encode() for word in words], array, 1, 1.0)

    def read(folder: Path) -> VectorSource:
        return VectorSource(path=Path(name), dim=array.shape[1], entry="word", chunks=chunks())

    table = open_or_build(cache_dir() / "word_vectors" / content, read, None)
    return WordVectors(name, content, table)
