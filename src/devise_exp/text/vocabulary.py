"""What class names are resolved against: the protocols that word vectors satisfy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np


class Vocabulary(Protocol):
    """Words that have a vector, such as `word_vectors.WordVectors`."""

    def __contains__(self, word: str, /) -> bool: ...

    def rank(self, word: str, /) -> int | None:
        """Return the frequency rank of a known word.

        Args:
            word: A spelling of the vocabulary.

        Returns:
            The rank, 0 for the most frequent word, or None if the vocabulary has no ranks.
        """
        ...

    def has_subword_vector(self, word: str, /) -> bool:
        """Say whether a word outside the vocabulary gets a vector from its subwords.

        Args:
            word: Any spelling.

        Returns:
            True if `vector(word)` gives a vector although `word` is not in the vocabulary.
        """
        ...

    def near_spellings(self, word: str, n: int, /) -> Sequence[str]:
        """List known words that are spelt like `word`, for hints in messages.

        Args:
            word: Any spelling.
            n: How many words to list at most.

        Returns:
            Known words, the nearest first.
        """
        ...


@runtime_checkable
class TextVocabulary(Protocol):
    """A vocabulary of sentences, which itself chooses the text that stands for a class."""

    def class_texts(self, names: Sequence[str], aliases: Sequence[str], /) -> Sequence[str]:
        """Choose the text of each class.

        Args:
            names: C class names.
            aliases: C aliases, "" for a class without one.

        Returns:
            C texts.
        """
        ...

    def undescribed(self, names: Sequence[str], aliases: Sequence[str], /) -> Sequence[str]:
        """List the classes without a text that they should have.

        Args:
            names: C class names.
            aliases: C aliases, "" for a class without one.

        Returns:
            Their names.
        """
        ...

    def near_spellings(self, word: str, n: int, /) -> Sequence[str]:
        """List names of described classes that are spelt like `word`.

        Args:
            word: Any spelling.
            n: How many to list at most.

        Returns:
            Names, the nearest first.
        """
        ...


class VectorLookup(Protocol):
    """Gives a word its vector."""

    def vector(self, word: str, /) -> np.ndarray:
        """Return the vector of a word.

        Args:
            word: A known word.

        Returns:
            (D,) float32 unit vector.
        """
        ...
