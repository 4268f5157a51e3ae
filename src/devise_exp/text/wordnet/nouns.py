"""The words of all of WordNet's noun synsets: which names are nouns, and what an id means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path

from devise_exp.core.files import gzipped_table
from devise_exp.text.names import ID_IN_NAME, lemma_keys, split_synonyms


@dataclass(frozen=True)
class Nouns:
    """The words of noun synsets.

    Attributes:
        words: Id, such as n02119789 -> its words between commas.
    """

    words: Mapping[str, str]

    @cached_property
    def keys(self) -> frozenset[str]:
        """The spelling keys of all words."""
        return frozenset(lemma_keys("\n".join(self.words.values()).replace(",", "\n")).split())

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
