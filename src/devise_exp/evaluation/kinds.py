"""Tables of kinds: which word senses are, include or are a kind of a pretraining class.

Kinds are WordNet's noun hypernyms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path

from devise_exp.core.files import gzipped_table
from devise_exp.text.names import spelling_key, split_synonyms

# Strongest first; "<unseen class> <relation> <pretraining class>" reads as a sentence.
IS, INCLUDES, IS_A_KIND_OF = RELATIONS = ("is", "includes", "is a kind of")
MATCHING_SHARE = 0.95  # torchvision and timm rename some of ImageNet's classes ("crane bird")


@dataclass(frozen=True)
class Sense:
    """A word sense and how it relates to the pretraining classes.

    Attributes:
        synonyms: Its words.
        relation: One of RELATIONS.
        classes: Indices of the pretraining classes.
        id: Its synset, such as n02119789; "" if that is unknown.
    """

    synonyms: tuple[str, ...]
    relation: str
    classes: tuple[int, ...]
    id: str = ""

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS or not self.synonyms or not self.classes:
            raise ValueError(f"no sense: {self.synonyms}, {self.relation!r}, {self.classes}")


@dataclass(frozen=True)
class KindTable:
    """All word senses that are, include or are a kind of one of a data set's classes.

    Attributes:
        senses: The word senses.
    """

    senses: tuple[Sense, ...]

    @cached_property
    def class_keys(self) -> Mapping[int, frozenset[str]]:
        """The spelling keys of the synonyms of every class."""
        return {
            index: frozenset(spelling_key(synonym) for synonym in sense.synonyms)
            for sense in self.senses
            if sense.relation == IS
            for index in sense.classes
        }

    @cached_property
    def by_key(self) -> Mapping[str, tuple[Sense, ...]]:
        """The senses of every spelling key."""
        by_key: dict[str, list[Sense]] = {}
        for sense in self.senses:
            for key in {spelling_key(synonym) for synonym in sense.synonyms}:
                by_key.setdefault(key, []).append(sense)
        return {key: tuple(senses) for key, senses in by_key.items()}

    @cached_property
    def by_id(self) -> Mapping[str, tuple[Sense, ...]]:
        """The relations of every synset that is known."""
        by_id: dict[str, list[Sense]] = {}
        for sense in self.senses:
            if sense.id:
                by_id.setdefault(sense.id, []).append(sense)
        return {id: tuple(senses) for id, senses in by_id.items()}

    def describes(self, categories: Sequence[str]) -> bool:
        """Tell whether these are the classes of the table.

        Args:
            categories: Names of pretraining classes.

        Returns:
            Whether they have its number and, but for a few renamed ones, its names and order.
        """
        if len(categories) != len(self.class_keys):
            return False
        matching = sum(
            not self.class_keys.get(i, frozenset()).isdisjoint(
                map(spelling_key, split_synonyms(category))
            )
            for i, category in enumerate(categories)
        )
        return matching >= MATCHING_SHARE * len(categories)


@cache
def imagenet1k_kinds() -> KindTable:
    """Read the shipped table of ImageNet's 1,000 classes (ILSVRC 2012).

    Returns:
        The table, made from the hypernyms of WordNet 3.0.
    """
    with as_file(files("devise_exp.evaluation") / "assets" / "imagenet1k_kinds.tsv.gz") as path:
        return read_kinds(path)


def read_kinds(path: Path) -> KindTable:
    """Read a table of kinds.

    Args:
        path: File of gzipped lines "relation, tab, synonyms, tab, class ranges such as 3 7-9, tab,
            synset".

    Returns:
        The table.

    Raises:
        InputError: The file is no such table.
    """
    with gzipped_table(path, "kinds", "experiments/overlap_table/make.py") as rows:
        return KindTable(
            tuple(
                Sense(split_synonyms(synonyms), relation, _indices(ranges), id)
                for relation, synonyms, ranges, id in rows
            )
        )


def _indices(ranges: str) -> tuple[int, ...]:
    """The indices of "3 7-9": 3, 7, 8, 9."""
    bounds = [[int(end) for end in part.split("-")] for part in ranges.split()]
    return tuple(i for bound in bounds for i in range(bound[0], bound[-1] + 1))
