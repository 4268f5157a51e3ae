"""What the parts of a class name say of an overlap, if the name as a whole says none.

A compound that is no noun of WordNet consists of the longest nouns in it: "swimming pool party" of
a swimming pool and a party, so that a pool table is none of it. The last one is the head: a rescue
collie is a collie. Another part only shows that a pretraining class may be seen on the images: a
bike, in bike polo. An activity may be seen with what is named after it: tennis with a tennis ball.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from devise_exp.evaluation.kinds import INCLUDES, IS, IS_A_KIND_OF, RELATIONS
from devise_exp.evaluation.pretraining_names import PretrainingNames, sphere_of
from devise_exp.evaluation.verdicts import ACTIVITY, HEAD, PART, SYNONYM, Overlap
from devise_exp.text.name_marks import readings
from devise_exp.text.names import inflected, spelling_keys, split_synonyms, split_words
from devise_exp.text.wordnet.domains import domain_of
from devise_exp.text.wordnet.nouns import PLACEHOLDERS, shipped_nouns

_NO_THINGS = {"act", "event", "group", "person"}  # what is seen of them are other things
_MIN_LETTERS = 3  # shorter words are abbreviations, or nouns that mean nothing here


@dataclass(frozen=True)
class _Part:
    """A noun in a compound: its words, their spelling keys, and whether it is the head."""

    words: str
    keys: tuple[str, ...]
    is_head: bool


def overlaps_of_parts(name: str, phrases: Sequence[str], names: PretrainingNames) -> list[Overlap]:
    """Find what the parts of a compound say.

    Args:
        name: Name of the class.
        phrases: Its names, with synonyms between commas; none of them is a noun as a whole.
        names: The pretraining classes.

    Returns:
        The sure overlaps of its head (relation IS_A_KIND_OF, basis HEAD), and possible ones.
    """
    overlaps: list[Overlap] = []
    for key in spelling_keys(phrases):
        overlaps += _derived(name, key, names, RELATIONS)
    for part in _parts(phrases, names):
        first = {_nouns().first_sense(key) for key in part.keys}
        if part.is_head:
            overlaps += [
                Overlap(
                    name=name,
                    relation=IS_A_KIND_OF,
                    category=names.categories[i],
                    sense=part.words,
                    basis=HEAD,
                )
                for sense in names.senses(part.keys)
                if sense.relation != INCLUDES and names.synset(sense) in first
                for i in sense.classes
            ]
        overlaps += _possible(name, part, names)[:1]
    return list(dict.fromkeys(overlaps))


def overlaps_of_noun(
    name: str, phrases: Sequence[str], keys: Sequence[str], names: PretrainingNames
) -> list[Overlap]:
    """Find what a noun without an overlap may overlap with.

    Args:
        name: Name of the class.
        phrases: Its names, with synonyms between commas.
        keys: Spelling keys of the nouns in them.
        names: The pretraining classes.

    Returns:
        The first reason, if there is one: a synonym is one of the classes (rooster: cock); it is no
        thing itself, but one is a part of its name (ski jumping); it is an activity that one is
        named after (tennis), or it is named after one (skiing, skier).
    """
    known = [key for key in keys if key in _nouns().ids]
    overlaps = [overlap for key in known for overlap in _by_synonym(name, key, names)]
    if {domain_of(_nouns().first_sense(key)) for key in known} & _NO_THINGS:
        parts = (part for part in _parts(phrases, names) if not part.is_head)
        overlaps += [overlap for part in parts for overlap in _possible(name, part, names)]
    overlaps += [
        Overlap(
            name=name,
            relation="is an activity that goes with",
            category=after,
            sense="",
            basis=ACTIVITY,
        )
        for key in known
        for after in _named_after(key, names)
    ]
    for key in known:
        overlaps += _derived(name, key, names, (IS, IS_A_KIND_OF))
    return overlaps[:1]


def _parts(phrases: Sequence[str], names: PretrainingNames) -> Iterator[_Part]:
    """Yield the longest nouns in the compounds among some names, from left to right."""
    synonyms = dict.fromkeys(synonym for phrase in phrases for synonym in split_synonyms(phrase))
    for synonym in synonyms:
        yield from _nouns_within(split_words(readings(synonym)[-1]), names)


def _nouns_within(words: Sequence[str], names: PretrainingNames) -> Iterator[_Part]:
    """Yield the longest nouns in a compound."""
    start = 0
    while start < len(words) > 1:
        for end in range(len(words), start, -1):
            run = words[start:end]
            keys = ["".join(form).lower() for form in inflected(run)]
            known = tuple(key for key in keys if key in names.known or key in _nouns().ids)
            is_said = len(keys[0]) >= _MIN_LETTERS and keys[0] not in PLACEHOLDERS
            if known and is_said and len(run) < len(words):
                yield _Part(" ".join(run), known, end == len(words))
                break
        else:
            end = start + 1
        start = end


def _possible(name: str, part: _Part, names: PretrainingNames) -> list[Overlap]:
    """The possible overlaps of one part, the strongest reason first."""
    overlaps = []
    for sense in sorted(names.senses(part.keys), key=lambda s: RELATIONS.index(s.relation)):
        relation = f"has the part {part.words}, which {sense.relation}"
        basis, words = HEAD if part.is_head else PART, ", ".join(sense.synonyms)
        overlaps.append(
            Overlap(
                name=name,
                relation=relation,
                category=names.listed(sense.classes),
                sense=words,
                basis=basis,
            )
        )
    for key in part.keys:
        overlaps += _derived(name, key, names, RELATIONS)
    relation = f"has the part {part.words}, an activity that goes with"
    after = [after for key in part.keys for after in _named_after(key, names)]
    return overlaps + [
        Overlap(name=name, relation=relation, category=category, sense="", basis=ACTIVITY)
        for category in after
    ]


def _by_synonym(name: str, key: str, names: PretrainingNames) -> list[Overlap]:
    """The animals or plants that the most frequent sense of such a noun shares another word with.

    Of artifacts such words are mostly namesakes: a chopper, a helicopter and a cleaver.
    """
    id = _nouns().first_sense(key)
    if domain_of(id) not in ("animal", "plant"):
        return []
    words = {*spelling_keys([_nouns().words[id]])} - {key}
    return [
        Overlap(
            name=name,
            relation="shares a synonym with",
            category=names.listed(sense.classes),
            sense=synonyms,
            basis=SYNONYM,
        )
        for sense in names.senses(sorted(words))
        if sense.relation == IS and domain_of(names.synset(sense)) == domain_of(id)
        for synonyms in [", ".join(sense.synonyms)]
    ]


def _named_after(key: str, names: PretrainingNames) -> list[str]:
    """The classes that are named after an activity, by any word for it."""
    id = _nouns().first_sense(key)
    if domain_of(id) != "act":
        return []
    keys = dict.fromkeys((key, *spelling_keys([_nouns().words[id]])))
    return [*filter(None, map(names.named_after, keys))]


def _derived(
    name: str, key: str, names: PretrainingNames, relations: Sequence[str]
) -> list[Overlap]:
    """What an activity or a person is named after: a ski, of skiing and a skier."""
    domain = domain_of(_nouns().first_sense(key))
    overlaps = []
    for stem in _stems(key, domain):
        for sense in names.senses([stem]):
            if sense.relation in relations and sphere_of(names.synset(sense)) == "made":
                relation = f"comes from {stem}, which {sense.relation}"
                listed = names.listed(sense.classes)
                overlaps.append(
                    Overlap(
                        name=name,
                        relation=relation,
                        category=listed,
                        sense=", ".join(sense.synonyms),
                        basis=ACTIVITY,
                    )
                )
        if domain == "person":
            relation = f"comes from {stem}, which goes with"
            after = _named_after(stem, names)
            overlaps += [
                Overlap(name=name, relation=relation, category=category, sense="", basis=ACTIVITY)
                for category in after
            ]
    return overlaps


def _stems(key: str, domain: str) -> Iterable[str]:
    """Yield what an activity in -ing, or a person in -er or -ist, may be named after."""
    for ending in {"act": ("ing",), "": ("ing",), "person": ("er", "ist")}.get(domain, ()):
        stem = key.removesuffix(ending)
        if stem != key and len(stem) >= _MIN_LETTERS:
            yield stem
            yield f"{stem}e"
            if stem[-1] == stem[-2]:
                yield stem[:-1]


_nouns = shipped_nouns
