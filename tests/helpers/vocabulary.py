"""A small vocabulary, and the words that a class name gets from it."""

from __future__ import annotations

from difflib import get_close_matches

from hypothesis import strategies as st

from devise_exp.text.labels import (
    resolve,
)
from devise_exp.text.name_lookup import FREQUENT_RANK

WORD = st.text("bcdfghklmnprtvwxz", min_size=3, max_size=8)


class Words(dict[str, int]):
    """A vocabulary of words and their frequency ranks; `subwords` has it compose any ASCII word."""

    subwords = False

    @classmethod
    def of(cls, *words: str, rare: tuple[str, ...] = (), subwords: bool = False) -> Words:
        ranks = {word: i for i, word in enumerate(words)}
        vocabulary = cls(ranks | {word: FREQUENT_RANK + i for i, word in enumerate(rare)})
        vocabulary.subwords = subwords
        return vocabulary

    def rank(self, word: str) -> int | None:
        return self.get(word)

    def has_subword_vector(self, word: str) -> bool:
        return self.subwords and word.isascii()

    def near_spellings(self, word: str, n: int = 3) -> list[str]:
        return get_close_matches(word, self, n)


def resolved(name: str, vocabulary: Words, **options: object) -> tuple[str, tuple[str, ...]]:
    (resolution,) = resolve([name], vocabulary, on_missing="drop", **options)
    return resolution.rule, resolution.words
