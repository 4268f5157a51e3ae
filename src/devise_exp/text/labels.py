"""Class names to words: `001.ak-47`, `cougar_body` or `white shark, man-eater` get vectors.

The rules, in order: the alias of the class, to which the other rules apply; the whole name as one
entry of the vocabulary (as written, lower, Title case; then in plural and singular); its words,
averaged if all are known; its subwords. Of synonyms split at commas, the first that is known whole
wins, else the first whose words are all known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.distinct import require_distinct_words
from devise_exp.text.label_options import alias_override, as_names, merge_classes, require_classes
from devise_exp.text.missing_words import missing_words_error
from devise_exp.text.name_lookup import look_up, nearest_words
from devise_exp.text.resolution import RULES, Resolution
from devise_exp.text.vocabulary import TextVocabulary, VectorLookup, Vocabulary

__all__ = [
    "RULES",
    "Resolution",
    "as_names",
    "class_vectors",
    "count_rules",
    "merge_classes",
    "resolve",
]
ON_MISSING = ("error", "drop", "nearest")


def resolve(
    names: Sequence[str],
    vocabulary: Vocabulary,
    aliases: Mapping[str, str] | None = None,
    on_missing: str = "error",
    strict: bool = True,
    of_classes: bool = False,
) -> tuple[Resolution, ...]:
    """Find the words of every class.

    Args:
        names: C class names.
        vocabulary: The words that have a vector; a TextVocabulary chooses the texts itself.
        aliases: Class -> other words for it; `++labels.aliases.cougar_face=cougar` in a config.
        on_missing: "error"; "nearest" to take the known words that are spelt most like the name;
            or "drop" to keep a class without a vector as "missing" in the result, so that the
            caller leaves it out; `labels.on_missing=drop` in a config.
        strict: Whether two classes of the same words are an error, and classes that stay without
            any; False for a report of all classes.
        of_classes: Whether the names are those of the data's classes, all of which a file of
            descriptions should describe; any other text has a vector without one.

    Returns:
        C resolutions, in the order of `names`.

    Raises:
        InputError: Classes have no vector (a MissingWordsError, which has all of them), two
            classes have the same words, an alias is of no class or is no text, or `on_missing` has
            no such value.

    Example:
        >>> class Words(dict):
        ...     rank, has_subword_vector = dict.get, lambda self, word: False
        >>> known = Words(soccer=0, ball=1, cougar=2)
        >>> [r.words for r in resolve(["soccer_balls", "cat"], known, {"cat": "cougar"})]
        [('soccer', 'ball'), ('cougar',)]
    """
    aliases = as_names(aliases or {}, names)
    _check_settings(names, aliases, on_missing)
    if isinstance(vocabulary, TextVocabulary):
        resolutions = _resolve_texts(names, vocabulary, aliases, on_missing, of_classes)
    else:
        resolutions = _resolve_words(names, vocabulary, aliases, on_missing)
    missing = [r.name for r in resolutions if r.rule == "missing"]
    if missing and strict and on_missing != "drop":
        raise missing_words_error(missing, len(names), vocabulary, aliases, on_missing)
    if strict:
        require_distinct_words(resolutions)
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
            raise InputError(
                f"class {r.name!r} has no word: leave it out or use {alias_override(r.name)}"
            )
        mean = np.mean([table.vector(word) for word in r.words], axis=0, dtype=np.float64)  # (D,)
        length = float(np.linalg.norm(mean))
        if not length > 1e-6:  # true of NaN as well
            raise InputError(
                f"the vectors of {' and '.join(r.words)} cancel out, so class {r.name!r} has none: "
                f"give it another word ({alias_override(r.name)})"
            )
        rows.append(mean / length)
    if not rows:
        raise InputError("no class is left to give a vector: the data has none, or all are missing")
    return np.stack(rows).astype(np.float32)


def _check_settings(names: Sequence[str], aliases: Mapping[str, str], on_missing: str) -> None:
    """Raise InputError for a wrong alias or value."""
    if on_missing not in ON_MISSING:
        raise InputError(
            f"labels.on_missing is {on_missing!r}: set it to error or drop, or to nearest for the "
            "words that are spelt most like the names"
        )
    require_classes(aliases, names, "aliases")
    for name, alias in aliases.items():
        if not isinstance(alias, str):
            raise InputError(f"labels.aliases.{name} is {alias!r}, not a word: put it in quotes")


def _resolve_texts(
    names: Sequence[str],
    vocabulary: TextVocabulary,
    aliases: Mapping[str, str],
    on_missing: str,
    of_classes: bool,
) -> list[Resolution]:
    """Let the vocabulary choose the text of each class."""
    words = {name: aliases.get(name, "") for name in names}
    rules = {name: "alias" if name in aliases else "exact" for name in names}
    missing = vocabulary.undescribed(names, list(words.values())) if of_classes else ()
    for name in missing:
        near = vocabulary.near_spellings(words[name] or name, 1) if on_missing == "nearest" else ()
        rules[name] = "nearest" if near else "missing"
        words[name] = near[0] if near else words[name]
    texts = vocabulary.class_texts(names, list(words.values()))
    return [
        Resolution(name, () if rules[name] == "missing" else (text,), rules[name])
        for name, text in zip(names, texts, strict=True)
    ]


def _resolve_words(
    names: Sequence[str], vocabulary: Vocabulary, aliases: Mapping[str, str], on_missing: str
) -> list[Resolution]:
    """Find the words of each class, the nearest ones if `on_missing` asks for them."""
    resolutions = [_resolve_one(name, vocabulary, aliases.get(name)) for name in names]
    if on_missing == "nearest":
        resolutions = [_nearest(r, vocabulary, aliases.get(r.name)) for r in resolutions]
    return resolutions


def _resolve_one(name: str, vocabulary: Vocabulary, alias: str | None) -> Resolution:
    """Find the words of one class."""
    # An alias is spelled as meant: "wild cat" is not to become GloVe's wildcat, a warplane.
    words, rule = look_up(name if alias is None else alias, vocabulary, run_together=alias is None)
    return Resolution(name, words, "alias" if words and alias is not None else rule)


def _nearest(resolution: Resolution, vocabulary: Vocabulary, alias: str | None) -> Resolution:
    """Give a missing class the words that are spelt most like its name."""
    if resolution.rule != "missing":
        return resolution
    words = nearest_words(alias or resolution.name, vocabulary)
    return Resolution(resolution.name, words, "nearest") if words else resolution
