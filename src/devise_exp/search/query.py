"""A person's text to a vector: `horse -grass`, `2*cat sofa`, `"grand piano" + violin`.

Words in a row are one name. A mark (+, - or a weight such as 2*) that touches a word is of that
word alone, one with a space after it is of the whole name up to the next mark. Quotes hold a name
together, a comma ends one. A run with sentence vectors takes a name of many words as one sentence
(`a cat lying on a sofa, asleep`), in which a comma is a part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import centre_rows
from devise_exp.text.labels import Resolution, class_vectors, resolve
from devise_exp.text.name_lookup import suggest_words
from devise_exp.text.names import split_synonyms, split_words
from devise_exp.text.sentence_vectors import SentenceVectors
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
    """One name of a query and how much of its vector is added; a negative weight takes it away."""

    text: str
    weight: float


@dataclass(frozen=True, eq=False)
class WordQuery:
    """A query as a unit vector (D,) float32 and in words, as it was understood.

    words: those of the vocabulary that it rests on. of_class: the run's class that it names, where
    it names one and nothing else.
    """

    vector: np.ndarray
    reading: str
    words: tuple[str, ...]
    of_class: str | None = None


class _Meaning(NamedTuple):
    resolution: Resolution
    of_class: str | None


def parse(text: str, sentences: bool = False) -> tuple[Term, ...]:
    """The terms of a query, in their order; with `sentences`, a comma stays in its term.

    InputError for a text without a word or that is too long, an open quote, a mark without a name
    and a weight that is none.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"the query has {len(text):,} characters: give at most {MAX_CHARACTERS}")
    plain = text.translate(_TYPOGRAPHY).strip()
    if plain.count('"') % 2:
        raise InputError(f"{text!r}: a quote is not closed: add the missing one")
    terms: list[Term] = []
    goes_on = False  # whether the next plain word belongs to the last term
    for token in _TOKEN.finditer(plain):
        mark, name = token["mark"], token["quoted"] or token["word"]
        if token["comma"] and goes_on and sentences:
            terms[-1] = Term(f"{terms[-1].text},", terms[-1].weight)
            continue
        if token["comma"] or not token[0].strip():
            goes_on = False
            continue
        _check(text, mark, name, token["word"] or "")
        if goes_on and token["word"] and not mark:
            terms[-1] = Term(f"{terms[-1].text} {name}", terms[-1].weight)
            continue
        terms.append(Term(name.strip(), _weight(mark, token["weight"])))
        goes_on = token["quoted"] is None and (not mark or mark[-1].isspace())
    if not terms:
        raise InputError(f"the query is empty: {EXAMPLES}")
    return tuple(terms)


def word_query(
    text: str,
    vocabulary: WordVectors,
    classes: Mapping[str, Sequence[str]] | None = None,
    beside_image: bool = False,
    centre: np.ndarray | None = None,
) -> WordQuery:
    """The sum of the terms' unit vectors (about `centre`, (D,), where it is given), each times its
    weight, at unit length.

    `classes` maps the run's class names to their words: a name that is one of them means those
    words, any other goes by the rules of `labels`, or is described as a class where the vocabulary
    takes sentences. InputError for a name without a vector, for terms that cancel out and, unless
    an image is asked for as well, where all are taken away.
    """
    classes = classes or {}
    whole, sentences = text.strip(), isinstance(vocabulary, SentenceVectors)
    terms = (Term(whole, 1.0),) if whole in classes else parse(text, sentences)
    if not beside_image and all(term.weight < 0 for term in terms):
        raise InputError(f"{text!r} only takes away: add what to look for, as in horse -grass")
    meanings = [_meaning(term.text, vocabulary, classes) for term in terms]
    vectors = class_vectors([meaning.resolution for meaning in meanings], vocabulary)
    vectors = vectors if centre is None else centre_rows(vectors, centre)
    weights = np.array([term.weight for term in terms])
    total = weights @ vectors.astype(np.float64)  # (D,)
    length = float(np.linalg.norm(total))
    if not length > 1e-6 * np.abs(weights).sum():  # true of NaN as well
        raise InputError(f"{text!r}: the terms cancel out: change a word or a weight")
    return WordQuery(
        vector=(total / length).astype(np.float32),
        reading=_reading(terms, meanings),
        words=tuple(dict.fromkeys(word for m in meanings for word in m.resolution.words)),
        of_class=meanings[0].of_class if len(terms) == 1 and weights[0] > 0 else None,
    )


def _check(text: str, mark: str, name: str | None, word: str) -> None:
    """InputError where a token is no term; `word` is its name where that is not quoted."""
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
    """The words that `name` stands for; InputError with near spellings where it has no vector."""
    known = _class_named(name, classes)
    if known is not None:
        return _Meaning(Resolution(name, tuple(classes[known]), "exact"), known)
    (found,) = resolve([name], vocabulary, on_missing="drop")
    if found.words:
        return _Meaning(found, None)
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
    key = _run_together(name)
    whole = [each for each in classes if _run_together(each) == key]
    found = whole or [
        each for each in classes if key in (_run_together(s) for s in split_synonyms(each))
    ]
    return found[0] if len(found) == 1 and key else None


def _run_together(name: str) -> str:
    return "".join(split_words(name)).casefold()


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
