"""Class names to words: how `001.ak-47`, `cougar_body` or `white shark, man-eater` find vectors.

The rules, in order: the alias of the class, which then goes by the other rules; the whole name as
one entry of the vocabulary (as written, lower, Title case; then in plural and singular); its words,
averaged when all are known; its subwords. Of synonyms split at commas, the first found whole wins,
else the first whose words are all known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.names import inflections, split_synonyms, split_words, strip_marks

RULES = ("exact", "alias", "averaged", "subword", "missing")
# A run-together compound goes before the average of its words only when it is a usual spelling: in
# GloVe 6B, lighthouse and teapot (ranks 12 and 53 thousand) have sensible neighbours, icecream and
# golfball (over 200 thousand) have none.
FREQUENT_RANK = 100_000
MAX_HINTED = 25  # of more missing classes, near spellings would take long and say nothing
ALIAS_OVERRIDE = "++labels.aliases.NAME=WORD"
_JOINING_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)


class Vocabulary(Protocol):
    """The words that have a vector, as word_vectors.WordVectors knows them."""

    def __contains__(self, word: str, /) -> bool: ...

    def rank(self, word: str, /) -> int | None:
        """The place of a known word in the order of frequency, 0 for the most frequent."""
        ...

    def has_subword_vector(self, word: str, /) -> bool:
        """Whether an unknown word gets a vector from its subwords."""
        ...

    def near_spellings(self, word: str, n: int, /) -> Sequence[str]: ...


@runtime_checkable
class TextVocabulary(Protocol):
    """A vocabulary of sentences, which says itself what text stands for each class."""

    def class_texts(self, names: Sequence[str], aliases: Sequence[str], /) -> Sequence[str]: ...


class VectorLookup(Protocol):
    """Gives a word its vector, (D,) float32 of length 1."""

    def vector(self, word: str, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Resolution:
    """The words whose mean vector stands for class `name`, and which of RULES gave them."""

    name: str
    words: tuple[str, ...]
    rule: str

    def __post_init__(self) -> None:
        if self.rule not in RULES or bool(self.words) == (self.rule == "missing"):
            raise ValueError(f"class {self.name!r}: words {self.words} cannot be {self.rule!r}")

    @property
    def display_name(self) -> str:
        """The words, without the gloss that sentence vectors add after a colon."""
        return " ".join(self.words).partition(": ")[0]


def merge_classes(
    classes: Sequence[str], merges: Mapping[str, str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Make classes that show the same thing one; `merges` maps a class to the one it joins.

    Returns the class names that remain, in their order, and the new index of each old class, (C,)
    int64. Raises InputError for a name that is no class and for a merge into a merged class.
    """
    _check_known([*merges, *merges.values()], classes, "merges")
    for old, target in merges.items():
        if target in merges:
            raise InputError(
                f"labels.merges joins {old!r} to {target!r}, which is itself joined to "
                f"{merges[target]!r}: join each class to one that remains"
            )
    kept = tuple(name for name in classes if name not in merges)
    index = {name: i for i, name in enumerate(kept)}
    return kept, np.array([index[merges.get(name, name)] for name in classes], dtype=np.int64)


def resolve(
    names: Sequence[str],
    vocabulary: Vocabulary,
    aliases: Mapping[str, str] | None = None,
    on_missing: str = "error",
) -> tuple[Resolution, ...]:
    """The words of every class, in the order of `names`; `aliases` maps a name to other words.

    A class without a vector is an error, or stays in the result as "missing" for the caller to
    leave out (on_missing="drop"). Raises InputError for all missing classes at once, for two
    classes with the same words and for an alias of no class.
    """
    aliases = aliases or {}
    if on_missing not in ("error", "drop"):
        raise InputError(f"labels.on_missing is {on_missing!r}: set it to error or drop")
    _check_known(aliases, names, "aliases")
    for name, alias in aliases.items():
        if not isinstance(alias, str):
            raise InputError(f"labels.aliases.{name} is {alias!r}, no word: put it in quotes")
    if isinstance(vocabulary, TextVocabulary):
        texts = vocabulary.class_texts(names, [aliases.get(name, "") for name in names])
        described = [
            Resolution(name, (text,), "alias" if name in aliases else "exact")
            for name, text in zip(names, texts, strict=True)
        ]
        _check_distinct(described)
        return tuple(described)
    resolutions = []
    for name in names:
        # An alias is spelled as meant: "wild cat" is not to become GloVe's wildcat, a warplane.
        words, how = _find(aliases.get(name, name), vocabulary, run_together=name not in aliases)
        resolutions.append(Resolution(name, words, "alias" if words and name in aliases else how))
    missing = [r.name for r in resolutions if r.rule == "missing"]
    if missing and on_missing == "error":
        listed = "; ".join(
            _describe_missing(name, aliases.get(name), vocabulary, spelled=i < MAX_HINTED)
            for i, name in enumerate(missing)
        )
        raise InputError(
            f"{len(missing)} of {len(names)} classes have no word vector: {listed}. Give each a "
            f"known word ({ALIAS_OVERRIDE}) or leave them out (labels.on_missing=drop)"
        )
    _check_distinct(resolutions)
    return tuple(resolutions)


def count_rules(resolutions: Sequence[Resolution]) -> dict[str, int]:
    """How many classes each rule of RULES resolved."""
    counts = Counter(r.rule for r in resolutions)
    return {how: counts[how] for how in RULES}


def class_vectors(resolutions: Sequence[Resolution], table: VectorLookup) -> np.ndarray:
    """The class vectors, (C, D) float32 of length 1: the mean of each class's word vectors.

    Raises InputError for a missing class and for words whose vectors cancel out.
    """
    rows = []
    for r in resolutions:
        if not r.words:
            raise InputError(f"class {r.name!r} has no word: leave it out or use {ALIAS_OVERRIDE}")
        mean = np.mean([table.vector(word) for word in r.words], axis=0, dtype=np.float64)  # (D,)
        length = float(np.linalg.norm(mean))
        if not length > 1e-6:  # true of NaN as well
            raise InputError(
                f"the vectors of {' and '.join(r.words)} cancel out, so class {r.name!r} has none: "
                f"give it another word ({ALIAS_OVERRIDE})"
            )
        rows.append(mean / length)
    if not rows:
        raise InputError("no class is left to give a vector: the data has none, or all are missing")
    return np.stack(rows).astype(np.float32)


def near_spellings(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Known words spelt like the unknown words of a name (of its first synonym), three for each."""
    words = [word for synonym in split_synonyms(name)[:1] for word in split_words(synonym)]
    return tuple(
        spelling
        for word in words
        if _spelling(word, vocabulary, composed=False) is None
        for spelling in vocabulary.near_spellings(word.lower(), 3)
    )


def _find(name: str, vocabulary: Vocabulary, run_together: bool) -> tuple[tuple[str, ...], str]:
    synonyms = split_synonyms(name)
    for synonym in synonyms:
        for spelling in (synonym, strip_marks(synonym), *_joined(synonym, "_", " ")):
            if spelling in vocabulary:
                return (spelling,), "exact"
        for spelling in _joined(synonym, "", "-") if run_together else ():
            rank = vocabulary.rank(spelling) if spelling in vocabulary else None
            if rank is not None and rank < FREQUENT_RANK:
                return (spelling,), "exact"
    for synonym in synonyms:
        if words := _every_word(synonym, vocabulary, composed=False):
            return words, "averaged"
    for spelling in (spelling for synonym in synonyms for spelling in _joined(synonym, "", "-")):
        if spelling in vocabulary:
            return (spelling,), "exact"
    for synonym in synonyms:
        if words := _every_word(synonym, vocabulary, composed=True):
            return words, "subword"
    return (), "missing"


def _joined(name: str, *joints: str) -> Iterator[str]:
    """Spellings of a name as one entry, every joint and case before another number."""
    words = split_words(name)
    for last in (words[-1], *inflections(words[-1])) if words else ():
        written = (*words[:-1], last)
        lower = [word.lower() for word in written]
        title = [word if word in _JOINING_WORDS else word.capitalize() for word in lower]
        for joint, cased in product(joints, (written, lower, title)):
            yield joint.join(cased)


def _every_word(name: str, vocabulary: Vocabulary, composed: bool) -> tuple[str, ...]:
    """The words of the name that carry its meaning, or () when one has no vector."""
    found = [_spelling(word, vocabulary, composed) for word in _content_words(name)]
    return tuple(word for word in found if word) if all(found) else ()


def _spelling(word: str, vocabulary: Vocabulary, composed: bool) -> str | None:
    for form in (word, *inflections(word)):
        for spelling in (form, form.lower(), form.capitalize()):
            if spelling in vocabulary:
                return spelling
    return word.lower() if composed and vocabulary.has_subword_vector(word.lower()) else None


def _content_words(name: str) -> tuple[str, ...]:
    words = split_words(name)
    return tuple(word for word in words if word.lower() not in _JOINING_WORDS) or words


def _check_known(given: Iterable[str], classes: Sequence[str], option: str) -> None:
    for name in given:
        if name not in classes:
            near = get_close_matches(name, classes, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "take it out"
            raise InputError(
                f"labels.{option} names {name!r}, none of the {len(classes)} classes: {hint}"
            )


def _check_distinct(resolutions: Sequence[Resolution]) -> None:
    """A nearest neighbour could not tell two classes with one vector apart."""
    owner: dict[tuple[str, ...], str] = {}
    for r in resolutions:
        key = tuple(sorted(r.words))  # a mean does not know the order of its words
        if key and key in owner:
            raise InputError(
                f"classes {owner[key]!r} and {r.name!r} have the same words ({' '.join(key)}): "
                "merge them (++labels.merges.NAME=OTHER) or give one another word "
                f"({ALIAS_OVERRIDE})"
            )
        owner[key] = r.name


def _describe_missing(name: str, alias: str | None, vocabulary: Vocabulary, spelled: bool) -> str:
    """The name of a missing class, with spellings near its unknown words."""
    near = near_spellings(alias or name, vocabulary) if spelled else ()
    notes = [f"alias {alias!r}"] if alias else []
    notes += [f"near: {', '.join(near)}"] if near else []
    return f"{name!r} ({'; '.join(notes)})" if notes else repr(name)
