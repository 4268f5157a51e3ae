"""What the readers of word-vector files give: chunks of words with vectors, one after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NGRAMS = "ngrams.f32"  # a file of the table's folder: the raw subword vectors, (buckets, D)
END_OF_SENTENCE = "</s>"


@dataclass(frozen=True)
class Chunk:
    """Consecutive words of a file.

    Attributes:
        words: n words as UTF-8.
        vectors: (n, D) float32, as read.
        first: The number of the first word's line or entry in the file, from 1.
        done: The share of the file that has been read, in [0, 1].
    """

    words: Sequence[bytes]
    vectors: np.ndarray
    first: int
    done: float


@dataclass(frozen=True)
class Subwords:
    """How fastText cuts a word into n-grams and hashes them (Bojanowski et al. 2017).

    Attributes:
        minn: Letters of the shortest n-gram.
        maxn: Letters of the longest n-gram.
        buckets: Rows of the subword table.
        lower: Whether words are lower-cased first.
    """

    minn: int
    maxn: int
    buckets: int
    lower: bool = False

    def rows(self, word: str) -> list[int]:
        """Return the rows of a word's n-grams in the subword table.

        Args:
            word: Any text.

        Returns:
            Rows below `buckets`; none for the end of a sentence, to which fastText gives none.
        """
        from gensim.models.fasttext import ft_ngram_hashes

        if word == END_OF_SENTENCE:
            return []
        valid = word.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
        valid = valid.lower() if self.lower else valid
        return list(ft_ngram_hashes(valid, self.minn, self.maxn, self.buckets))


@dataclass(frozen=True, kw_only=True)
class VectorSource:
    """A file that is about to be read.

    Attributes:
        path: The file.
        dim: D.
        entry: What messages number: "line", "word" or "class".
        chunks: Reads each chunk when it is asked for.
        subwords: How words are cut, if the reader writes NGRAMS into the table's folder.
    """

    path: Path
    dim: int
    entry: str
    chunks: Generator[Chunk, None, None]
    subwords: Subwords | None = None
