"""The verdicts of the overlap audit on class names, and what they rest on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from devise_exp.data.verdict_kinds import (
    CLEAN,
    CLEAN_AS_STATED,
    NOT_CHECKED,
    NOT_IDENTIFIED,
    POSSIBLE,
    count_kinds,
)
from devise_exp.evaluation.kinds import RELATIONS

# What a match rests on, strongest first.
SAME_WORD, SAME_SENSE, MORE_GENERAL, KIND_OF = "same word", "same sense", "more general", "kind of"
IMAGES, HEAD, STATED = "sense of its images", "head of the compound", "stated by hand"
ANOTHER_SENSE, SYNONYM = "another sense of the word", "synonym"
PART, ACTIVITY = "part of the compound", "activity"
_WHOLE_NAMES = (SAME_WORD, SAME_SENSE, MORE_GENERAL, KIND_OF, STATED, ANOTHER_SENSE)
BASES = (
    SAME_WORD, SAME_SENSE, MORE_GENERAL, KIND_OF, IMAGES, HEAD, STATED,
    ANOTHER_SENSE, SYNONYM, PART, ACTIVITY,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """A pretraining class that a class overlaps with, surely or possibly.

    Attributes:
        name: Name of the class.
        relation: How, such as one of RELATIONS: "name relation category" reads as a sentence.
        category: Name of the pretraining class; "" if a person states an overlap with none.
        sense: Synonyms of the word sense that relates them; "" for none.
        basis: One of BASES; "" in runs of earlier versions.
    """

    name: str
    relation: str
    category: str
    sense: str
    basis: str = ""

    @property
    def text(self) -> str:
        """How it overlaps, and with what."""
        return f"{self.relation} {self.category}".strip()


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The overlaps of classes with the pretraining.

    Attributes:
        checked_by: "words" and "kinds", what was compared; empty if the pretraining classes are not
            known.
        overlaps: Every overlap.
        unidentified: Classes whose names say nothing to the audit, and overlap with nothing.
        stated_clean: Classes without an overlap that a person states to be clean, as the audit
            cannot show it.
        possible: What classes without an overlap may overlap with.
        other_senses: What classes would overlap with in a less likely sense of their names, where
            another match decides, or the other classes rule it out.
        overruled: Classes that a person states to be clean, though the audit finds an overlap.
        unpublished: Why nothing could be compared, if that is known; "" else.
    """

    checked_by: tuple[str, ...]
    overlaps: tuple[Overlap, ...]
    unidentified: tuple[str, ...] = ()
    stated_clean: tuple[str, ...] = ()
    possible: tuple[Overlap, ...] = ()
    other_senses: tuple[Overlap, ...] = ()
    overruled: tuple[str, ...] = ()
    unpublished: str = ""

    @property
    def overlapping(self) -> tuple[str, ...]:
        """The classes that overlap, each once."""
        return tuple(dict.fromkeys(overlap.name for overlap in self.overlaps))

    @property
    def undecided(self) -> tuple[str, ...]:
        """The classes that may overlap, or whose names say nothing, each once."""
        names = (overlap.name for overlap in self.possible)
        return tuple(dict.fromkeys((*names, *self.unidentified)))

    @property
    def by_whole_names(self) -> tuple[Overlap, ...]:
        """What classes overlap with by their whole names, in whatever sense, or as stated."""
        every = (*self.overlaps, *self.possible, *self.other_senses)
        return tuple(overlap for overlap in every if overlap.basis in _WHOLE_NAMES)

    @property
    def categories(self) -> frozenset[str]:
        """The pretraining classes that classes overlap with, in whatever sense of their names."""
        every = (*self.overlaps, *self.by_whole_names)
        return frozenset(overlap.category for overlap in every if overlap.category)

    def of(self, names: Iterable[str]) -> AuditReport:
        """Take what is said of some classes.

        Args:
            names: Names of audited classes.

        Returns:
            The report of these alone.
        """
        kept = frozenset(names)

        def part(overlaps: Iterable[Overlap]) -> tuple[Overlap, ...]:
            return tuple(overlap for overlap in overlaps if overlap.name in kept)

        return AuditReport(
            checked_by=self.checked_by,
            overlaps=part(self.overlaps),
            unidentified=tuple(name for name in self.unidentified if name in kept),
            stated_clean=tuple(name for name in self.stated_clean if name in kept),
            possible=part(self.possible),
            other_senses=part(self.other_senses),
            overruled=tuple(name for name in self.overruled if name in kept),
            unpublished=self.unpublished,
        )

    def verdicts(self, names: Iterable[str]) -> dict[str, str]:
        """Give each class its verdict.

        Args:
            names: Names of classes.

        Returns:
            Name -> its strongest overlap, such as "is a kind of hook"; else POSSIBLE with the
            reason, NOT_IDENTIFIED, CLEAN or CLEAN_AS_STATED; or NOT_CHECKED, with the reason if it
            is known, if the pretraining classes are not. `data.verdict_kinds.kind_of` gives the
            kind.
        """
        others = reversed(self.other_senses)
        verdict = {o.name: f"{CLEAN} (another sense is {o.category})" for o in others}
        verdict |= dict.fromkeys(self.unidentified, NOT_IDENTIFIED)
        possible = _strongest(self.possible).items()
        verdict |= {name: f"{POSSIBLE}: {text}" for name, text in possible}
        verdict |= dict.fromkeys(self.stated_clean, CLEAN_AS_STATED)
        verdict |= _strongest(self.overlaps)
        unchecked = f"{NOT_CHECKED}: {self.unpublished}" if self.unpublished else NOT_CHECKED
        other = CLEAN if self.checked_by else unchecked
        return {name: verdict.get(name, other) for name in names}

    def count(self, names: Collection[str]) -> str:
        """Count the kinds of verdicts.

        Args:
            names: Names of classes.

        Returns:
            Such as "4 clean, 2 overlapping, 1 possibly overlapping, 0 not identified".
        """
        return count_kinds(self.verdicts(names))


def strength(overlap: Overlap) -> tuple[int, int]:
    """Rank an overlap for sorting, the strongest first.

    Args:
        overlap: The overlap.

    Returns:
        Its place among RELATIONS, and among BASES.
    """
    relation, basis = overlap.relation, overlap.basis
    return (
        RELATIONS.index(relation) if relation in RELATIONS else len(RELATIONS),
        BASES.index(basis) if basis in BASES else -1,
    )


def _strongest(overlaps: Iterable[Overlap]) -> dict[str, str]:
    """The text of the strongest overlap of each class; the first of equals."""
    texts: dict[str, str] = {}
    for overlap in sorted(overlaps, key=strength):
        texts.setdefault(overlap.name, overlap.text)
    return texts
