"""Does a backbone's pretraining already know an unseen class? An audit by name and by kind.

An unseen class overlaps if a pretraining class has its name (ewer: ImageNet's "pitcher, ewer"), is
a kind of it (dolphin: killer whale), or if it is itself a kind of a pretraining class. Kinds are
WordNet's noun hypernyms. Every sense of a name counts, so the audit errs on the side of an overlap.
A class that WordNet does not name is checked by name only, and near twins are left to the eye.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.text.names import (
    spelling_key,
    spelling_keys,
    split_synonyms,
)

# Strongest first; "<unseen class> <relation> <pretraining class>" reads as a sentence.
IS, INCLUDES, IS_A_KIND_OF = RELATIONS = ("is", "includes", "is a kind of")
MATCHING_SHARE = 0.95  # torchvision and timm rename some of ImageNet's classes ("crane bird")


@dataclass(frozen=True)
class Overlap:
    """An unseen class that the pretraining knows; `sense` lists the synonyms that gave it away."""

    name: str
    relation: str
    category: str
    sense: str


@dataclass(frozen=True)
class AuditReport:
    """The overlaps, and what was checked: () when the pretraining classes are not known."""

    checked_by: tuple[str, ...]
    overlaps: tuple[Overlap, ...]

    @property
    def overlapping(self) -> tuple[str, ...]:
        """The unseen classes that overlap, each once."""
        return tuple(dict.fromkeys(overlap.name for overlap in self.overlaps))

    @property
    def categories(self) -> frozenset[str]:
        """The pretraining classes that unseen classes overlap with."""
        return frozenset(overlap.category for overlap in self.overlaps)

    def verdicts(self, unseen: Iterable[str]) -> dict[str, str]:
        """Each class's strongest overlap, such as "is a kind of hook"; else "clean", or
        "not checked" when the pretraining classes are not known.
        """
        none = "clean" if self.checked_by else "not checked"
        found = dict.fromkeys(unseen, none)
        for overlap in sorted(self.overlaps, key=lambda o: RELATIONS.index(o.relation)):
            if found.get(overlap.name) == none:
                found[overlap.name] = f"{overlap.relation} {overlap.category}"
        return found


@dataclass(frozen=True)
class Sense:
    """A word sense (its synonyms) and how it relates to the pretraining classes, given by index."""

    synonyms: tuple[str, ...]
    relation: str
    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.relation not in RELATIONS or not self.synonyms or not self.classes:
            raise ValueError(f"no sense: {self.synonyms}, {self.relation!r}, {self.classes}")


@dataclass(frozen=True)
class KindTable:
    """All word senses that are, include or are a kind of one of a data set's classes."""

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
        found: dict[str, list[Sense]] = {}
        for sense in self.senses:
            for key in {spelling_key(synonym) for synonym in sense.synonyms}:
                found.setdefault(key, []).append(sense)
        return {key: tuple(senses) for key, senses in found.items()}

    def describes(self, categories: Sequence[str]) -> bool:
        """Whether these are the classes of the table, in its order."""
        if len(categories) != len(self.class_keys):
            return False
        matching = sum(
            not self.class_keys.get(i, frozenset()).isdisjoint(
                map(spelling_key, split_synonyms(category))
            )
            for i, category in enumerate(categories)
        )
        return matching >= MATCHING_SHARE * len(categories)


def audit(
    unseen: Mapping[str, str | Sequence[str]],
    categories: Sequence[str] | None,
    table: KindTable | None = None,
) -> AuditReport:
    """Find the unseen classes that the pretraining knows.

    `unseen` maps each class to its further names, each possibly several words or synonyms split at
    commas; the class name itself always counts. `categories` are the names of the pretraining
    classes in order, None when they are not known. `table` is used when it describes them.
    """
    if categories is None:
        return AuditReport((), ())
    kinds = table if table is not None and table.describes(categories) else None
    by_key: dict[str, list[int]] = {}
    for index, category in enumerate(categories):
        for key in {spelling_key(synonym) for synonym in split_synonyms(category)}:
            by_key.setdefault(key, []).append(index)
    overlaps: list[Overlap] = []
    for name, given in unseen.items():
        keys = spelling_keys([name, given] if isinstance(given, str) else [name, *given])
        named = [Sense((categories[i],), IS, (i,)) for key in keys for i in by_key.get(key, ())]
        senses = [sense for key in keys for sense in (kinds.by_key.get(key, ()) if kinds else ())]
        overlaps += _strongest(name, [*named, *senses], categories)
    return AuditReport(("words", "kinds") if kinds else ("words",), tuple(overlaps))


@cache
def imagenet1k_kinds() -> KindTable:
    """The table of ImageNet's 1,000 classes (ILSVRC 2012), from the hypernyms of WordNet 3.0."""
    with as_file(files("devise_exp.evaluation") / "assets" / "imagenet1k_kinds.tsv.gz") as path:
        return read_kinds(path)


def read_kinds(path: Path) -> KindTable:
    """Read a table: gzipped lines "relation, tab, synonyms, tab, class ranges such as 3 7-9"."""
    senses = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                relation, synonyms, ranges = line.rstrip("\n").split("\t")
                senses.append(Sense(split_synonyms(synonyms), relation, _indices(ranges)))
    except (OSError, EOFError, ValueError) as error:
        raise InputError(
            f"{path} is no table of kinds ({error}): make it with experiments/overlap_table/make.py"
        ) from None
    return KindTable(tuple(senses))


def kinds_bytes(table: KindTable) -> bytes:
    """The file that read_kinds reads; equal tables give equal bytes."""
    rows = sorted((s.relation, ", ".join(s.synonyms), _ranges(s.classes)) for s in table.senses)
    text = "".join("\t".join(row) + "\n" for row in rows)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def _strongest(name: str, senses: Iterable[Sense], categories: Sequence[str]) -> list[Overlap]:
    """One overlap per category, by the strongest relation any sense has to it."""
    best: dict[int, Overlap] = {}
    for sense in sorted(senses, key=lambda sense: RELATIONS.index(sense.relation)):
        for i in sense.classes:
            overlap = Overlap(name, sense.relation, categories[i], ", ".join(sense.synonyms))
            best.setdefault(i, overlap)
    return list(best.values())


def _indices(ranges: str) -> tuple[int, ...]:
    """The indices of "3 7-9": 3, 7, 8, 9."""
    bounds = [[int(end) for end in part.split("-")] for part in ranges.split()]
    return tuple(i for bound in bounds for i in range(bound[0], bound[-1] + 1))


def _ranges(indices: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for i in sorted(indices):
        if runs and runs[-1][1] == i - 1:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    return " ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)
