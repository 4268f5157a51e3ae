"""Unit vectors of words: a vocabulary in order of frequency, and the random control."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.table import VectorTable, empty_table


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vocabulary in order of frequency, with a unit vector for each of its n words.

    Attributes:
        name: For tables and messages.
        fingerprint: Of content and options, or of what else determines the vectors.
        table: The words and their vectors.
    """

    name: str
    fingerprint: str
    table: VectorTable

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words):
            raise InputError(
                f"{self.name}: {self.vectors.shape} vectors for {len(self.words)} words"
            )

    @property
    def dim(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    @property
    def words(self) -> Sequence[str]:
        """The words in row order, decoded when asked for."""
        return self.table.words

    @property
    def vectors(self) -> np.ndarray:
        """(n, D) float32 unit rows, read-only and memory-mapped."""
        return self.table.vectors

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"WordVectors({self.name!r}, {len(self)} words, dim {self.dim}, {self.fingerprint})"

    def __contains__(self, word: object) -> bool:
        """Whether exactly this spelling is in the vocabulary."""
        return isinstance(word, str) and self.rank(word) is not None

    def rank(self, word: str) -> int | None:
        """Return the frequency rank of a word, which is its row.

        Args:
            word: Exactly a spelling.

        Returns:
            The rank, 0 for the most frequent word, or None for an unknown one.
        """
        return self.table.row(word)

    def has_subword_vector(self, word: str) -> bool:
        """Say whether an unknown word gets a vector from its subwords (fastText .bin).

        Args:
            word: Any spelling.

        Returns:
            False for a word of the vocabulary.
        """
        return word not in self and self.table.subword_vector(word) is not None

    def vector(self, word: str) -> np.ndarray:
        """Return the vector of a word.

        Args:
            word: A word of the vocabulary, or one whose subwords have vectors.

        Returns:
            (D,) float32 unit vector.

        Raises:
            InputError: The word has none; the message lists near spellings.
        """
        row = self.rank(word)
        vector = self.table.subword_vector(word) if row is None else np.array(self.vectors[row])
        if vector is None:
            near = self.near_spellings(word)
            hint = f"near spellings: {', '.join(near)}" if near else "nothing is spelt like it"
            raise InputError(
                f"no vector for {word!r} in {self.name}; {hint}; give the class an alias"
            )
        return vector

    def near_spellings(self, word: str, n: int = 3) -> list[str]:
        """List frequent words that are spelt like `word`, for hints in messages.

        Args:
            word: Any spelling.
            n: How many words to list at most.

        Returns:
            Words of the vocabulary, the nearest first.
        """
        return self.table.words.near_spellings(word, n)


class _RandomWordVectors(WordVectors):
    """Every word is in it, although its table is empty."""

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str)

    def vector(self, word: str) -> np.ndarray:
        """Draw (D,) sums of twelve uniform 16-bit numbers, nearly normal, at unit length."""
        # Whole numbers and one square root only, so that every machine gets the same bits.
        seed = f"{self.fingerprint}\0{word}".encode("utf-8", "surrogatepass")
        drawn = hashlib.shake_256(seed).digest(self.dim * 24)
        sums = np.frombuffer(drawn, "<u2").reshape(self.dim, 12).sum(axis=1, dtype=np.int64)
        centred = 2 * sums - 12 * 65535
        vector: np.ndarray = centred / math.sqrt(int((centred**2).sum()))
        return vector.astype(np.float32)


def random_word_vectors(dim: int = 50, seed: int = 0) -> WordVectors:
    """Give any word a random vector: the control, in which names carry no meaning.

    In a config: `word_vectors=random word_vectors.dim=50 word_vectors.seed=0`.

    Args:
        dim: D; take the dimension of the vectors that are compared with these.
        seed: Seed of the drawing.

    Returns:
        Vectors that (seed, dim, word) alone determine. The table is empty: `len()` is 0, and no
        word has a rank or near spellings.

    Raises:
        InputError: `dim` or `seed` is no such number.
    """
    if not isinstance(dim, int) or dim < 1:
        raise InputError(f"word_vectors.dim is {dim}; give a number from 1")
    if not isinstance(seed, int):
        raise InputError(f"word_vectors.seed is {seed!r}; give a whole number")
    return _RandomWordVectors("random", f"random-seed{seed}-dim{dim}", empty_table(dim))
