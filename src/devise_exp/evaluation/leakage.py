"""Does a backbone's pretraining already know an unseen class? An audit by name and by kind.

An unseen class overlaps if a pretraining class has its name (ewer: ImageNet's "pitcher, ewer"), is
a kind of it (dolphin: killer whale), or if it is itself a kind of a pretraining class. Kinds are
WordNet's noun hypernyms. Every sense of a name counts, so the audit errs on the side of an overlap.
A class is clean only if it can be placed: its name or its alias is a noun of WordNet or the name of
a pretraining class, apart from numbers, WordNet ids and qualifiers. Any other is not identified,
unless a person states that it is clean. Near twins are left to the eye.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from devise_exp.evaluation.kinds import IS, RELATIONS, KindTable, Sense
from devise_exp.text.names import spelling_key, split_synonyms
from devise_exp.text.wordnet.nouns import identify

CLEAN, CLEAN_AS_STATED = "clean", "clean (as stated)"
NOT_IDENTIFIED, NOT_CHECKED = "not identified", "not checked"


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
        unidentified: Classes without an overlap whose names say nothing to the audit.
        stated_clean: Those of them of which a person states that the pretraining did not know them.
    """

    checked_by: tuple[str, ...]
    overlaps: tuple[Overlap, ...]
    unidentified: tuple[str, ...] = ()
    stated_clean: tuple[str, ...] = ()

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
            Name -> its strongest overlap, such as "is a kind of hook"; else CLEAN, CLEAN_AS_STATED
            or NOT_IDENTIFIED, or NOT_CHECKED if the pretraining classes are not known.
        """
        if not self.checked_by:
            return dict.fromkeys(unseen, NOT_CHECKED)
        weakest_last = sorted(self.overlaps, key=lambda o: RELATIONS.index(o.relation))
        verdict = dict.fromkeys(self.unidentified, NOT_IDENTIFIED)
        verdict |= dict.fromkeys(self.stated_clean, CLEAN_AS_STATED)
        verdict |= {o.name: f"{o.relation} {o.category}" for o in reversed(weakest_last)}
        return {name: verdict.get(name, CLEAN) for name in unseen}


def audit(
    unseen: Mapping[str, str | Sequence[str]],
    categories: Sequence[str] | None,
    table: KindTable | None = None,
    stated_clean: Collection[str] = (),
) -> AuditReport:
    """Find the unseen classes that the pretraining knows.

    Args:
        unseen: Class name -> its further names, each of one or several words or synonyms split at
            commas; the class name itself always counts.
        categories: Names of the pretraining classes in order, None if they are not known.
        table: Kinds of the pretraining classes, used if it describes them.
        stated_clean: Classes that a person states to be clean, if the audit cannot place them.

    Returns:
        The overlaps, which classes could not be placed, and what was compared.
    """
    if categories is None:
        return AuditReport((), ())
    kinds = table if table is not None and table.describes(categories) else None
    by_key: dict[str, list[int]] = {}
    for index, category in enumerate(categories):
        for key in {spelling_key(synonym) for synonym in split_synonyms(category)}:
            by_key.setdefault(key, []).append(index)
    related = kinds.by_key if kinds else {}
    known = by_key.keys() | related.keys()
    overlaps: list[Overlap] = []
    unidentified: list[str] = []
    for name, further in unseen.items():
        phrases = (name, further) if isinstance(further, str) else (name, *further)
        keys, identified = identify(phrases, known)
        named = [Sense((categories[i],), IS, (i,)) for key in keys for i in by_key.get(key, ())]
        senses = [sense for key in keys for sense in related.get(key, ())]
        overlaps += _strongest(name, [*named, *senses], categories)
        if categories and not identified:  # random weights knew no class, whatever its name
            unidentified.append(name)
    overlapping = {overlap.name for overlap in overlaps}
    return AuditReport(
        ("words", "kinds") if kinds else ("words",),
        tuple(overlaps),
        tuple(n for n in unidentified if n not in overlapping and n not in stated_clean),
        tuple(n for n in unidentified if n not in overlapping and n in stated_clean),
    )


def _strongest(name: str, senses: Iterable[Sense], categories: Sequence[str]) -> list[Overlap]:
    """One overlap per category, by the strongest relation any sense has to it."""
    best: dict[int, Overlap] = {}
    for sense in sorted(senses, key=lambda sense: RELATIONS.index(sense.relation)):
        for i in sense.classes:
            overlap = Overlap(name, sense.relation, categories[i], ", ".join(sense.synonyms))
            best.setdefault(i, overlap)
    return list(best.values())
