"""Does a backbone's pretraining already know a class? An audit by name and by kind.

A class overlaps if a pretraining class has its name (ewer: ImageNet's "pitcher, ewer"), is a kind
of it (dolphin: killer whale), or if it is itself a kind of a pretraining class. Kinds are WordNet's
noun hypernyms. Every sense of a name counts, unless the other classes of the data rule it out
(sense_choice). The head of a compound counts as its kind; another part, or an activity that names a
pretraining class, makes an overlap possible (compounds). A class is clean only if it can be placed:
its name or its alias is a noun of WordNet or the name of a pretraining class, apart from numbers,
WordNet ids and qualifiers. Any other is not identified. A person may state what the audit cannot
show. Near twins are left to the eye.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from devise_exp.evaluation.compounds import overlaps_of_noun, overlaps_of_parts
from devise_exp.evaluation.kinds import IS_A_KIND_OF, KindTable, Sense
from devise_exp.evaluation.pretraining_names import PretrainingNames, sphere_of
from devise_exp.evaluation.sense_choice import SenseChoice, spheres_of
from devise_exp.evaluation.verdicts import ANOTHER_SENSE, HEAD, STATED, AuditReport, Overlap
from devise_exp.text.wordnet.domains import domain_of
from devise_exp.text.wordnet.nouns import identify


@dataclass(frozen=True)
class _Class:
    """A class to audit: its names, the keys of the nouns in them, and whether they say enough."""

    name: str
    phrases: tuple[str, ...]
    keys: tuple[str, ...]
    identified: bool


def audit(
    classes: Mapping[str, str | Sequence[str]],
    categories: Sequence[str] | None,
    table: KindTable | None = None,
    stated_clean: Collection[str] = (),
    stated_overlapping: Mapping[str, str] | None = None,
) -> AuditReport:
    """Find the classes that the pretraining knows.

    Args:
        classes: Class name -> its further names, each of one or several words or synonyms split at
            commas; the class name itself always counts. The senses of a name are chosen by the
            other names, so give all classes of the data.
        categories: Names of the pretraining classes in order, None if they are not known.
        table: Kinds of the pretraining classes, used if it describes them.
        stated_clean: Classes that a person states to be clean, if the audit finds no overlap.
        stated_overlapping: Classes that a person states to overlap -> with which pretraining
            class, "" for none in particular.

    Returns:
        The overlaps, which classes may overlap or could not be placed, and what was compared.

    Example:
        >>> report = audit({"tiger": (), "okapi": ()}, ["tiger, Panthera tigris", "tabby cat"])
        >>> [(overlap.name, overlap.category) for overlap in report.overlaps]
        [('tiger', 'tiger, Panthera tigris')]
    """
    stated = [
        Overlap(
            name=name,
            relation="overlaps as stated" + (" with" if category else ""),
            category=category,
            sense="",
            basis=STATED,
        )
        for name, category in (stated_overlapping or {}).items()
        if name in classes
    ]
    if categories is None:
        return AuditReport(checked_by=(), overlaps=tuple(stated))
    names = PretrainingNames(categories, table)
    several = [_class(name, further, names) for name, further in classes.items()]
    choice = SenseChoice({c.name: spheres_of(c.keys) for c in several})
    # Random weights knew no class, whatever its name.
    matches = [_match(c, names, choice) for c in several] if categories else []
    overlaps = (*(o for match in matches for o in match.sure), *stated)
    decided = {overlap.name for overlap in overlaps} | set(stated_clean)
    possible = tuple(o for match in matches for o in match.possible)
    unidentified = tuple(c.name for c in several if categories and not c.identified)
    undecided = dict.fromkeys((*(o.name for o in possible), *unidentified))
    overlapping = {overlap.name for overlap in overlaps}
    left = undecided.keys() - decided
    unplaced = left - {overlap.name for overlap in possible}
    stated_names = undecided.keys() - left - overlapping
    return AuditReport(
        checked_by=("words", "kinds") if names.kinds else ("words",),
        overlaps=overlaps,
        unidentified=tuple(name for name in unidentified if name in unplaced),
        stated_clean=tuple(c.name for c in several if c.name in stated_names),
        possible=tuple(overlap for overlap in possible if overlap.name in left),
        other_senses=tuple(o for match in matches for o in match.other_senses),
        overruled=tuple(name for name in stated_clean if name in overlapping),
    )


@dataclass(frozen=True)
class _Match:
    """What one class overlaps with, may overlap with, and would overlap with in another sense."""

    sure: tuple[Overlap, ...]
    possible: tuple[Overlap, ...] = ()
    other_senses: tuple[Overlap, ...] = ()


def _class(name: str, further: str | Sequence[str], names: PretrainingNames) -> _Class:
    """Find the nouns of a class's names."""
    more = (further,) if isinstance(further, str) else further
    phrases = tuple(dict.fromkeys((name, *more)))
    return _Class(name, phrases, *identify(phrases, names.known))


def _match(this: _Class, names: PretrainingNames, choice: SenseChoice) -> _Match:
    """Match one class by its whole names, else by their parts."""
    senses = names.senses(this.keys)
    likely, others_say = choice.choose(this.name)
    unlikely = [sense for sense in senses if likely and _is_of_another(sense, likely, names)]
    senses = [s for s in senses if s not in unlikely]
    sure = (*names.overlaps(this.name, senses), *names.placed(this.name, this.keys))
    another = tuple(
        replace(o, relation=f"in another sense {o.relation}", basis=ANOTHER_SENSE)
        for o in names.overlaps(this.name, unlikely)
    )
    if sure or (another and not others_say):
        return _Match(sure, () if sure else another, another if sure else ())
    if this.identified:
        possible = overlaps_of_noun(this.name, this.phrases, this.keys, names)
    else:
        possible = overlaps_of_parts(this.name, this.phrases, names)
    heads = tuple(o for o in possible if o.basis == HEAD and o.relation == IS_A_KIND_OF)
    return _Match(heads, tuple(o for o in possible if o not in heads), another)


def _is_of_another(sense: Sense, sphere: str, names: PretrainingNames) -> bool:
    """Whether a sense is of another sphere; never one of food, where ImageNet has cup and plate."""
    synset = names.synset(sense)
    return domain_of(synset) != "food" and sphere_of(synset) not in ("", sphere)
