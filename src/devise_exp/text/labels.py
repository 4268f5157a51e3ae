"""Class names to words: `001.ak-47`, `cougar_body` or `white shark, man-eater` get vectors.

The rules, in order: the alias of the class, to which the other rules apply; the whole name as one
entry of the vocabulary (as written, lower, Title case; then in plural and singular); its words,
averaged if all are known; its subwords. Of synonyms split at commas, the first that is known whole
wins, else the first whose words are all known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.spelling import nearest_spellings
from devise_exp.text.name_lookup import look_up, suggest_words
from devise_exp.text.vocabulary import TextVocabulary, VectorLookup, Vocabulary

RULES = ("exact", "alias", "averaged", "subword", "missing")
MAX_HINTED = 25  # near spellings of more missing classes would take long and say nothing
ALIAS_OVERRIDE = "++labels.aliases.NAME=WORD"


@dataclass(frozen=True)
class Resolution:
    """The words that stand for a class: their mean vector is the class vector.

    Attributes:
        name: The class name.
        words: Known words; () for a missing class.
        rule: Which of RULES gave the words.
    """

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


def as_names(options: Mapping[Any, Any]) -> dict[str, Any]:
    """Read numbers in merges or aliases as names: a config makes a number of a class called 42.

    Args:
        options: Keys and values as a config has them.

    Returns:
        Text -> text, or a value that is neither a text nor a number.
    """
    return {
        str(key): str(value) if type(value) in (int, float) else value
        for key, value in options.items()
    }


def merge_classes(
    classes: Sequence[str], merges: Mapping[str, str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Make one class of classes that show the same thing.

    Args:
        classes: C class names.
        merges: Class -> the class that it joins; `++labels.merges.Faces_easy=Faces` in a config.

    Returns:
        The class names that remain, in their order, and the new index of each old class, (C,)
        int64.

    Raises:
        InputError: `merges` names no class, or joins a class to one that is itself joined.
    """
    merges = {name: str(target) for name, target in as_names(merges).items()}
    _require_classes([*merges, *merges.values()], classes, "merges")
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
    """Find the words of every class.

    Args:
        names: C class names.
        vocabulary: The words that have a vector; a TextVocabulary chooses the texts itself.
        aliases: Class -> other words for it; `++labels.aliases.cougar_face=cougar` in a config.
        on_missing: "error", or "drop" to keep a class without a vector as "missing" in the
            result, so that the caller leaves it out; `labels.on_missing=drop` in a config.

    Returns:
        C resolutions, in the order of `names`.

    Raises:
        InputError: Classes have no vector (all are in one message), two classes have the same
            words, an alias is of no class or is no text, or `on_missing` is neither value.

    Example:
        >>> class Words(dict):
        ...     rank, has_subword_vector = dict.get, lambda self, word: False
        >>> known = Words(soccer=0, ball=1, cougar=2)
        >>> [r.words for r in resolve(["soccer_balls", "cat"], known, {"cat": "cougar"})]
        [('soccer', 'ball'), ('cougar',)]
    """
    aliases = as_names(aliases or {})
    _check_settings(names, aliases, on_missing)
    if isinstance(vocabulary, TextVocabulary):
        resolutions = _resolve_texts(names, vocabulary, aliases)
    else:
        resolutions = [_resolve_one(name, vocabulary, aliases.get(name)) for name in names]
        missing = [r.name for r in resolutions if r.rule == "missing"]
        if missing and on_missing == "error":
            raise InputError(_missing_message(missing, len(names), vocabulary, aliases))
    _require_distinct(resolutions)
    return tuple(resolutions)


def count_rules(resolutions: Sequence[Resolution]) -> dict[str, int]:
    """Count the classes that each rule resolved.

    Args:
        resolutions: The classes.

    Returns:
        Each of RULES -> its number of classes.
    """
    counts = Counter(r.rule for r in resolutions)
    return {rule: counts[rule] for rule in RULES}


def class_vectors(resolutions: Sequence[Resolution], table: VectorLookup) -> np.ndarray:
    """Average the word vectors of each class.

    Args:
        resolutions: C classes, none of them missing.
        table: Gives each word its vector, (D,).

    Returns:
        (C, D) float32 unit rows.

    Raises:
        InputError: A class is missing, the vectors of its words cancel out, or C is 0.
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


def _check_settings(names: Sequence[str], aliases: Mapping[str, str], on_missing: str) -> None:
    """Raise InputError for a wrong alias or value."""
    if on_missing not in ("error", "drop"):
        raise InputError(f"labels.on_missing is {on_missing!r}: set it to error or drop")
    _require_classes(aliases, names, "aliases")
    for name, alias in aliases.items():
        if not isinstance(alias, str):
            raise InputError(f"labels.aliases.{name} is {alias!r}, not a word: put it in quotes")


def _resolve_texts(
    names: Sequence[str], vocabulary: TextVocabulary, aliases: Mapping[str, str]
) -> list[Resolution]:
    """Let the vocabulary choose the text of each class."""
    texts = vocabulary.class_texts(names, [aliases.get(name, "") for name in names])
    return [
        Resolution(name, (text,), "alias" if name in aliases else "exact")
        for name, text in zip(names, texts, strict=True)
    ]


def _resolve_one(name: str, vocabulary: Vocabulary, alias: str | None) -> Resolution:
    """Find the words of one class."""
    # An alias is spelled as meant: "wild cat" is not to become GloVe's wildcat, a warplane.
    words, rule = look_up(name if alias is None else alias, vocabulary, run_together=alias is None)
    return Resolution(name, words, "alias" if words and alias is not None else rule)


def _require_classes(names: Iterable[str], classes: Sequence[str], option: str) -> None:
    """Raise InputError if an option names no class."""
    for name in names:
        if name not in classes:
            near = nearest_spellings(name, classes)
            hint = f"did you mean {' or '.join(near)}?" if near else "take it out"
            raise InputError(
                f"labels.{option} names {name!r}, none of the {len(classes)} classes: {hint}"
            )


def _require_distinct(resolutions: Sequence[Resolution]) -> None:
    """Raise InputError for classes of one vector: a nearest neighbour cannot tell them apart."""
    names: dict[tuple[str, ...], str] = {}
    for r in resolutions:
        key = tuple(sorted(r.words))  # a mean does not know the order of its words
        if key and key in names:
            raise InputError(
                f"classes {names[key]!r} and {r.name!r} have the same words ({' '.join(key)}): "
                "merge them (++labels.merges.NAME=OTHER) or give one another word "
                f"({ALIAS_OVERRIDE})"
            )
        names[key] = r.name


def _missing_message(
    missing: Sequence[str], n_classes: int, vocabulary: Vocabulary, aliases: Mapping[str, str]
) -> str:
    """List the missing classes in one line, with known spellings near their words."""
    notes = []
    for i, name in enumerate(missing):
        alias = aliases.get(name)
        near = suggest_words(alias or name, vocabulary) if i < MAX_HINTED else ()
        details = [f"alias {alias!r}"] if alias else []
        details += [f"near: {', '.join(near)}"] if near else []
        notes.append(f"{name!r} ({'; '.join(details)})" if details else repr(name))
    return (
        f"{len(missing)} of {n_classes} classes have no word vector: {'; '.join(notes)}. Give each "
        f"a known word ({ALIAS_OVERRIDE}) or leave them out (labels.on_missing=drop)"
    )
