"""A query as text to a vector: `horse -grass`, `2*cat sofa`, `"grand piano" + violin`.

Words in a row are one name. A mark (+, - or a weight such as 2*) that touches a word belongs to
that word alone; a mark followed by a space belongs to the whole name up to the next mark. Quotes
hold a name together, and a comma ends one. A run with sentence vectors reads a name of many words
as one sentence (`a cat lying on a sofa, asleep`), and a comma is part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.text.labels import Resolution, class_vectors, resolve
from devise_exp.text.name_lookup import suggest_words
from devise_exp.text.names import spelling_key, split_synonyms, split_words
from devise_exp.text.text_vectors import SentenceVectors
from devise_exp.text.word_vectors.vectors import WordVectors

MAX_CHARACTERS = 500  # near spellings of a whole page of unknown words would take minutes
MAX_WEIGHT = 1000.0
EXAMPLES = "write for example cat, horse -grass or 2*cat sofa"

_TYPOGRAPHY = str.maketrans("“”„«»−–—×", '"""""---*')
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<comma>,)
      | (?P<mark>(?:[+-]\s*)?(?:(?P<weight>\d+(?:\.\d*)?|\.\d+)\s*\*\s*)?)
        (?:"(?P<quoted>[^"]*)"|(?P<word>(?:[^\s",]|(?<=\d),(?=\d))+))?
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Term:
    """One name of a query.

    Attributes:
        text: The name.
        weight: Factor of its vector in the sum; a negative weight subtracts it.
    """

    text: str
    weight: float


@dataclass(frozen=True, kw_only=True, eq=False)
class WordQuery:
    """A query as a vector.

    Attributes:
        vector: (D,) float32 at unit length.
        reading: The query in words, as it was understood.
        words: Words of the vocabulary that the vector is the sum of.
        texts: Its T names.
        vectors: (T, D) float32 unit rows of the names, about no centre.
        weights: (T,) factors of the names.
        of_class: Class of the run that the query names, if it names one and nothing else.
    """

    vector: np.ndarray
    reading: str
    words: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: np.ndarray
    weights: np.ndarray
    of_class: str | None = None


class _Meaning(NamedTuple):
    resolution: Resolution
    of_class: str | None


def parse(text: str, sentences: bool = False) -> tuple[Term, ...]:
    """Split a query into its terms.

    Args:
        text: The query.
        sentences: Whether a comma is part of a name.

    Returns:
        The terms, in their order.

    Raises:
        InputError: For a text without a word or over 500 characters, an open quote, a mark without
            a name, and a weight out of range.

    Example:
        >>> [(term.text, term.weight) for term in parse("2*cat sofa -grass")]
        [('cat', 2.0), ('sofa', 1.0), ('grass', -1.0)]
    """
    terms: list[Term] = []
    open_term = False  # whether the next plain word belongs to the last term
    for token in _TOKEN.finditer(_plain(text)):
        mark, name = token["mark"], token["quoted"] or token["word"]
        if token["comma"] and open_term and sentences:
            terms[-1] = Term(f"{terms[-1].text},", terms[-1].weight)
            continue
        if token["comma"] or not token[0].strip():
            open_term = False
            continue
        _check(text, mark, name, token["word"] or "")
        if open_term and token["word"] and not mark:
            terms[-1] = Term(f"{terms[-1].text} {name}", terms[-1].weight)
            continue
        terms.append(Term(name.strip(), _weight(mark, token["weight"])))
        open_term = token["quoted"] is None and (not mark or mark[-1].isspace())
    if not terms:
        raise InputError(f"the query is empty: {EXAMPLES}")
    return tuple(terms)


def _plain(text: str) -> str:
    """The text with plain quotes and signs."""
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"the query has {len(text):,} characters: give at most {MAX_CHARACTERS}")
    plain = text.translate(_TYPOGRAPHY).strip()
    if plain.count('"') % 2:
        raise InputError(f"{text!r}: a quote is not closed: add the missing one")
    return plain


def word_query(
    text: str,
    vocabulary: WordVectors,
    classes: Mapping[str, Sequence[str]] | None = None,
    beside_image: bool = False,
    to_space: Callable[[np.ndarray], np.ndarray] | None = None,
) -> WordQuery:
    """Add up the terms of a query: unit vectors times their weights, at unit length.

    A name that is a class of the run stands for the words of that class. Other names are resolved
    by the rules of text.labels.

    Args:
        text: The query.
        vocabulary: The word vectors.
        classes: Class name -> its words.
        beside_image: Whether an image is part of the query, so that all weights may be negative.
        to_space: Puts unit word vectors (T, D) where they are compared; None: they are there.

    Returns:
        The query as a vector.

    Raises:
        InputError: For a name without a vector, terms that cancel out, and negative weights alone.
    """
    classes = classes or {}
    whole, sentences = text.strip(), isinstance(vocabulary, SentenceVectors)
    terms = (Term(whole, 1.0),) if whole in classes else parse(text, sentences)
    if not beside_image and all(term.weight < 0 for term in terms):
        raise InputError(f"{text!r} only takes away: add what to look for, as in horse -grass")
    meanings = [_meaning(term.text, vocabulary, classes) for term in terms]
    vectors = class_vectors([meaning.resolution for meaning in meanings], vocabulary)
    placed = vectors if to_space is None else to_space(vectors)
    weights = np.array([term.weight for term in terms])
    return WordQuery(
        vector=_unit_sum(text, placed, weights),
        reading=_reading(terms, meanings),
        words=tuple(dict.fromkeys(word for m in meanings for word in m.resolution.words)),
        texts=tuple(term.text for term in terms),
        vectors=vectors,
        weights=weights,
        of_class=meanings[0].of_class if len(terms) == 1 and weights[0] > 0 else None,
    )


def _unit_sum(text: str, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(D,) float32: the sum of vectors (T, D) times weights (T,), at unit length."""
    total = weights @ vectors.astype(np.float64)  # (D,)
    length = float(np.linalg.norm(total))
    if not length > 1e-6 * np.abs(weights).sum():  # also if it is NaN
        raise InputError(f"{text!r}: the terms cancel out: change a word or a weight")
    return np.asarray(total / length, dtype=np.float32)


def _check(text: str, mark: str, name: str | None, word: str) -> None:
    """InputError if a token is no term; `word` is its name if that is not quoted."""
    if not (name or "").strip():
        what = f"nothing follows {mark.strip()!r}" if mark else "the quotes are empty"
        raise InputError(f"{text!r}: {what}: {EXAMPLES}")
    if word[:1] in ("+", "-") or (word == "*" and mark):
        raise InputError(f"{text!r}: two marks in a row before {word!r}: leave one out")
    if "*" in word:
        raise InputError(
            f"{text!r}: {word!r} has no weight before the *: write a number, as in 2*cat or 0.5*cat"
        )


def _weight(mark: str, written: str | None) -> float:
    size = 1.0 if written is None else float(written)
    if not 0 < size <= MAX_WEIGHT:
        raise InputError(
            f"the weight {written} is out of range: give a number above 0, at most {MAX_WEIGHT:.0f}"
        )
    return -size if mark.startswith("-") else size


def _meaning(name: str, vocabulary: WordVectors, classes: Mapping[str, Sequence[str]]) -> _Meaning:
    """The words that `name` stands for; InputError with near spellings if it has no vector."""
    class_name = _class_named(name, classes)
    if class_name is not None:
        return _Meaning(Resolution(name, tuple(classes[class_name]), "exact"), class_name)
    (resolution,) = resolve([name], vocabulary, on_missing="drop")
    if resolution.words:
        return _Meaning(resolution, None)
    words = split_words(name)
    unknown = [w for w in words if not resolve([w], vocabulary, on_missing="drop")[0].words]
    near = suggest_words(name, vocabulary)
    hint = f"did you mean {', '.join(near)}?" if near else "write another word"
    raise InputError(
        f"no word vector for {' '.join(unknown) or name!r} in {vocabulary.name}: {hint}"
    )


def _class_named(name: str, classes: Mapping[str, Sequence[str]]) -> str | None:
    """The one class of this name however it is spaced or cased, or with it as a synonym."""
    if name in classes:
        return name
    key = spelling_key(name)
    matches = [c for c in classes if spelling_key(c) == key] or [
        c for c in classes if key in (spelling_key(s) for s in split_synonyms(c))
    ]
    return matches[0] if len(matches) == 1 and key else None


def _reading(terms: Sequence[Term], meanings: Sequence[_Meaning]) -> str:
    """Such as `anchor (ship + anchor) - 2*grass`."""
    pieces = []
    for i, (term, meaning) in enumerate(zip(terms, meanings, strict=True)):
        sign = "-" if term.weight < 0 else "+" if i else ""
        size = "" if abs(term.weight) == 1 else f"{abs(term.weight):g}*"
        words = meaning.resolution.words
        note = "" if [term.text.lower()] == [w.lower() for w in words] else " + ".join(words)
        if meaning.resolution.rule == "subword":
            note = "by its subwords"
        pieces.append(f"{sign} {size}{term.text}{f' ({note})' if note else ''}")
    return " ".join(pieces).strip()
