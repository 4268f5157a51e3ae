"""The words of all of WordNet's noun synsets: which names are nouns, and what an id means.

A name is identified if it is a noun in one of its readings: as it is, without numbers, ids and
qualifiers, or, of three words or more, by two or more words at its end or before a kind (water lily
flower). What is left of a model number (DC-10, Falcon 2000) and other words of a name (the Monte
Carlo of a car) do not say what it is, though they may say that a class is known.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path

from devise_exp.core.files import gzipped_table
from devise_exp.text.name_marks import ID_IN_NAME, readings
from devise_exp.text.names import (
    lemma_keys,
    spelling_keys,
    split_synonyms,
    split_words,
)

# Nouns that number things of any kind (class_7), or stand for what nobody has named.
PLACEHOLDERS = {
    "background", "breed", "category", "class", "cluster", "family", "folder", "genus", "group",
    "id", "image", "item", "kind", "label", "number", "object", "part", "photo", "photograph",
    "picture", "sample", "set", "species", "specimen", "test", "thing", "train", "type",
    "unknown", "variety",
}  # fmt: skip
# Words that a name may end with and stay what it is without them: water lily flower.
_KINDS = {
    "animal", "apple", "berry", "bird", "butterfly", "cat", "dish", "dog", "fish", "flower", "food",
    "fruit", "insect", "plant", "shrub", "snake", "tree", "turtle", "vegetable",
}  # fmt: skip
_MODEL_NUMBER = re.compile(r"(?<!\d)[1-9]\d{2,}\W*$")  # a longer count has zeros in front


@dataclass(frozen=True)
class Nouns:
    """The words of noun synsets.

    Attributes:
        words: Id, such as n02119789 -> its words between commas.
    """

    words: Mapping[str, str]

    @cached_property
    def ids(self) -> Mapping[str, tuple[str, ...]]:
        """The synsets of the spelling key of every word."""
        lines = lemma_keys("\n".join(self.words.values()).replace(",", "\n")).split("\n")
        ids: dict[str, tuple[str, ...]] = {}
        keys = iter(lines)
        for id, words in self.words.items():
            for key in islice(keys, words.count(",") + 1):
                known = ids.get(key)
                if known is None:
                    ids[key] = (id,)
                elif known[-1] != id:  # two words of one synset may have one key
                    ids[key] = (*known, id)
        ids.pop("", None)
        return ids

    @property
    def keys(self) -> Collection[str]:
        """The spelling keys of all words."""
        return self.ids.keys()

    def first_sense(self, key: str) -> str:
        """Look up the most frequent sense of a word.

        Args:
            key: Its spelling key.

        Returns:
            The id; "" if it is no noun.
        """
        ids = self.ids.get(key, ("",))
        return ids[0] if len(ids) < 2 else first_senses().get(key, ids[0])

    def words_of_ids(self, name: str) -> tuple[str, ...]:
        """Look up the ids in a class name.

        Args:
            name: Such as n02437616-llama.

        Returns:
            The words of every id that is a noun of WordNet 3.0.
        """
        return tuple(
            word
            for id in ID_IN_NAME.findall(name)
            for word in split_synonyms(self.words.get(id, ""))
        )


def identify(phrases: Sequence[str], known: Collection[str]) -> tuple[tuple[str, ...], bool]:
    """Find the nouns that class names consist of.

    Args:
        phrases: Names of one class, with synonyms between commas.
        known: Spelling keys of names that need not be nouns of WordNet.

    Returns:
        The spelling keys of the names and of the nouns in them; and whether those that
        say what the class is are known or nouns.
    """
    keys: dict[str, None] = dict.fromkeys(spelling_keys(phrases))
    by_id = [word for phrase in phrases for word in _words_of_ids(phrase)]
    identified = bool(by_id)
    for phrase in phrases:
        for synonym in split_synonyms(phrase):
            for names, sufficient in _candidates(synonym):
                if nouns := _nouns(names, known):
                    keys |= dict.fromkeys(nouns)
                    identified |= bool(_nouns(sufficient, known))
                    break
    return tuple(keys | dict.fromkeys(spelling_keys(by_id))), identified


def _words_of_ids(phrase: str) -> tuple[str, ...]:
    return shipped_nouns().words_of_ids(phrase) if ID_IN_NAME.search(phrase) else ()


def _candidates(name: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield what may be the noun of a name, the whole name first, and what of it says what it is.

    Alternatives, in order.
    """
    is_model = _MODEL_NUMBER.search(name) is not None
    for i, reading in enumerate(readings(name)):
        letters = "".join(filter(str.isalpha, reading))
        is_placeholder = letters.lower() in PLACEHOLDERS
        # A letter, a number, and the "class" of class_7 are nouns that mean nothing here.
        if len(letters.encode()) > 1 and not (i and is_placeholder):
            is_code = i > 0 and (is_model or len(letters) < 3 or _is_abbreviation(letters))
            yield (reading,), () if is_code or is_placeholder else (reading,)
    words = split_words(readings(name)[-1])
    for n in range(len(words) - 1, 1, -1):
        runs = tuple(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
        is_kind = n == len(words) - 1 and words[-1].lower() in _KINDS
        yield runs, () if is_model else runs if is_kind else runs[-1:]


def _is_abbreviation(letters: str) -> bool:
    return len(letters) < 4 and letters.isupper()


def _nouns(names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The spelling keys of those names that are known or nouns."""
    keys = [key for key in spelling_keys(names) if key]
    first = tuple(key for key in keys if key in known)
    return first or tuple(key for key in keys if key in shipped_nouns().keys)


@cache
def first_senses() -> Mapping[str, str]:
    """Read which sense of a spelling key is the most frequent one, if it is not its first id.

    Returns:
        Spelling key -> id, of WordNet 3.0; it is read once.
    """
    with as_file(files("devise_exp.text.wordnet") / "assets" / "first_senses.tsv.gz") as path:
        return read_first_senses(path, shipped_nouns())


def read_first_senses(path: Path, nouns: Nouns) -> Mapping[str, str]:
    """Read a table of the most frequent senses.

    Args:
        path: Gzipped lines "spelling key, tab, number of its sense among its ids, from 0 on".
        nouns: The ids.

    Returns:
        Spelling key -> id.

    Raises:
        InputError: The file is no such table.
    """
    make = "experiments/noun_table/make_first_senses.py"
    with gzipped_table(path, "first senses", make) as rows:
        numbers = {key: int(number) for key, number in rows}
        if any(not 0 < n < len(nouns.ids.get(key, ())) for key, n in numbers.items()):
            raise ValueError("a word has no such sense")
        return {key: nouns.ids[key][n] for key, n in numbers.items()}


@cache
def shipped_nouns() -> Nouns:
    """Read the nouns of WordNet 3.0.

    Returns:
        The table; it is read once.
    """
    with as_file(files("devise_exp.text.wordnet") / "assets" / "nouns.tsv.gz") as path:
        return read_nouns(path)


def read_nouns(path: Path) -> Nouns:
    """Read a table of nouns.

    Args:
        path: Gzipped lines "steps from the id before, tab, words between commas".

    Returns:
        The table.

    Raises:
        InputError: The file is no such table.
    """
    id, words = 0, {}
    with gzipped_table(path, "nouns", "experiments/noun_table/make.py") as rows:
        for step, lemmas in rows:
            id += int(step)
            words[f"n{id:08d}"] = lemmas
    return Nouns(words)
