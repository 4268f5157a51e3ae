"""Does a backbone's pretraining already know an unseen class? An audit by name and by kind.

An unseen class overlaps if a pretraining class has its name (ewer: ImageNet's "pitcher, ewer"), is
a kind of it (dolphin: killer whale), or if it is itself a kind of a pretraining class. Kinds are
WordNet's noun hypernyms. Every sense of a name counts, so the audit errs on the side of an overlap.
A class that WordNet does not name is checked by name only, and near twins are left to the eye.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from devise_exp.evaluation.kinds import IS, RELATIONS, KindTable, Sense
from devise_exp.text.names import spelling_key, spelling_keys, split_synonyms


@dataclass(frozen=True)
class Overlap:
    """An unseen class that the pretraining knows.

    Attributes:
        name: Name of the unseen class.
        relation: One of RELATIONS.
        category: Name of the pretraining class.
        sense: Synonyms of the word sense that relates them.
    """

    name: str
    relation: str
    category: str
    sense: str


@dataclass(frozen=True)
class AuditReport:
    """The overlaps of the unseen classes with the pretraining.

    Attributes:
        checked_by: "words" and "kinds", what was compared; empty if the pretraining classes are not
            known.
        overlaps: Every overlap.
    """

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
        """Give each class its verdict.

        Args:
            unseen: Names of unseen classes.

        Returns:
            Name -> its strongest overlap, such as "is a kind of hook"; else "clean", or "not
            checked" if the pretraining classes are not known.
        """
        none = "clean" if self.checked_by else "not checked"
        verdicts = dict.fromkeys(unseen, none)
        for overlap in sorted(self.overlaps, key=lambda o: RELATIONS.index(o.relation)):
            if verdicts.get(overlap.name) == none:
                verdicts[overlap.name] = f"{overlap.relation} {overlap.category}"
        return verdicts


def audit(
    unseen: Mapping[str, str | Sequence[str]],
    categories: Sequence[str] | None,
    table: KindTable | None = None,
) -> AuditReport:
    """Find the unseen classes that the pretraining knows.

    Args:
        unseen: Class name -> its further names, each of one or several words or synonyms split at
            commas; the class name itself always counts.
        categories: Names of the pretraining classes in order, None if they are not known.
        table: Kinds of the pretraining classes, used if it describes them.

    Returns:
        The overlaps, and what was compared.
    """
    if categories is None:
        return AuditReport((), ())
    kinds = table if table is not None and table.describes(categories) else None
    by_key: dict[str, list[int]] = {}
    for index, category in enumerate(categories):
        for key in {spelling_key(synonym) for synonym in split_synonyms(category)}:
            by_key.setdefault(key, []).append(index)
    overlaps: list[Overlap] = []
    for name, further in unseen.items():
        keys = spelling_keys([name, further] if isinstance(further, str) else [name, *further])
        named = [Sense((categories[i],), IS, (i,)) for key in keys for i in by_key.get(key, ())]
        senses = [sense for key in keys for sense in (kinds.by_key.get(key, ()) if kinds else ())]
        overlaps += _strongest(name, [*named, *senses], categories)
    return AuditReport(("words", "kinds") if kinds else ("words",), tuple(overlaps))


def _strongest(name: str, senses: Iterable[Sense], categories: Sequence[str]) -> list[Overlap]:
    """One overlap per category, by the strongest relation any sense has to it."""
    best: dict[int, Overlap] = {}
    for sense in sorted(senses, key=lambda sense: RELATIONS.index(sense.relation)):
        for i in sense.classes:
            overlap = Overlap(name, sense.relation, categories[i], ", ".join(sense.synonyms))
            best.setdefault(i, overlap)
    return list(best.values())
