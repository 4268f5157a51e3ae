"""The words of one class name: the spellings that are tried in a vocabulary, and in which order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import product
from operator import itemgetter

from devise_exp.text.name_marks import ID_IN_NAME, strip_marks, unnumbered, unqualified
from devise_exp.text.names import (
    inflected,
    inflections,
    separated,
    split_synonyms,
    split_words,
)
from devise_exp.text.vocabulary import Vocabulary
from devise_exp.text.wordnet.nouns import shipped_nouns

# A frequent run-together compound goes before the average of its words: in GloVe 6B, lighthouse
# and teapot (ranks 12 and 53 thousand) have sensible neighbours, icecream and golfball (over
# 200 thousand) have none.
FREQUENT_RANK = 100_000
_PART = re.compile(r"[^\W_]+")
_JOINING_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)


def look_up(name: str, vocabulary: Vocabulary, run_together: bool) -> tuple[tuple[str, ...], str]:
    """Find the words that stand for a name, or for its synonyms split at commas.

    Args:
        name: A class name or an alias.
        vocabulary: The known words.
        run_together: Whether a frequent compound ("lighthouse" of light_house) goes before the
            average of the name's words.

    Returns:
        The known words, and the rule that found them: exact, averaged, subword or missing.
    """
    synonyms = split_synonyms(unicodedata.normalize("NFC", name))
    if all(map(ID_IN_NAME.fullmatch, synonyms)):  # names, too, if there is no synonym
        synonyms = shipped_nouns().words_of_ids(name) or synonyms
    for synonym in synonyms:
        for reading in dict.fromkeys((synonym, unnumbered(synonym))):
            if word := _whole(reading, vocabulary, run_together):
                return (word,), "exact"
    plain = [unnumbered(synonym) for synonym in synonyms]
    for synonym in plain:
        if words := _every_word(synonym, vocabulary, subwords=False):
            return words, "averaged"
    for spelling in (spelling for synonym in plain for spelling in _joined(synonym, "", "-")):
        if word := _spelling_of(spelling, vocabulary):
            return (word,), "exact"
    for synonym in plain:
        if words := _without_qualifier(synonym, vocabulary, run_together):
            return words, "exact" if len(words) == 1 else "averaged"
    for synonym in plain:
        if words := _every_word(synonym, vocabulary, subwords=True):
            return words, "subword"
    return (), "missing"


def suggest_words(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """List known words that are spelt like the unknown words of a name, for hints in messages.

    Args:
        name: A class name or an alias; only its first synonym counts.
        vocabulary: The known words.

    Returns:
        Up to three words for each unknown word of the name.
    """
    return tuple(
        spelling
        for word in _first_words(name, vocabulary)
        if _known_spelling(word, vocabulary, subwords=False) is None
        for spelling in vocabulary.near_spellings(word.lower(), 3)
    )


def nearest_words(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Replace the unknown words of a name by the known ones that are spelt most like them.

    Args:
        name: A class name or an alias; only its first synonym counts.
        vocabulary: The known words.

    Returns:
        A known word for each word of the name, () if one of them is spelt like none.
    """
    words: list[str] = []
    for word in _first_words(name, vocabulary):
        known = _known_spelling(word, vocabulary, subwords=False)
        words += [known] if known else list(vocabulary.near_spellings(word.lower(), 1)) or [""]
    return tuple(words) if all(words) else ()


def unlike_words(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """List the words of a name for which `nearest_words` has no known one.

    Args:
        name: A class name or an alias; only its first synonym counts.
        vocabulary: The known words.

    Returns:
        These words, as the name has them.
    """
    return tuple(
        word
        for word in _first_words(name, vocabulary)
        if _known_spelling(word, vocabulary, subwords=False) is None
        and not vocabulary.near_spellings(word.lower(), 1)
    )


def _first_words(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The words of the first synonym of a name."""
    synonyms = split_synonyms(unicodedata.normalize("NFC", name))[:1]
    return tuple(
        word for synonym in synonyms for word in _content_words(unnumbered(synonym), vocabulary)
    )


def _whole(name: str, vocabulary: Vocabulary, run_together: bool) -> str | None:
    """Return the entry of the vocabulary that is the whole name; a run-together one if frequent."""
    for spelling in (name, strip_marks(name), *_joined(name, "_", " ")):
        if word := _spelling_of(spelling, vocabulary):
            return word
    for spelling in _joined(name, "", "-") if run_together else ():
        word = _spelling_of(spelling, vocabulary)
        rank = vocabulary.rank(word) if word else None
        if rank is not None and rank < FREQUENT_RANK:
            return word
    return None


def _without_qualifier(name: str, vocabulary: Vocabulary, run_together: bool) -> tuple[str, ...]:
    """Return the words of a name without what stands in brackets, () if nothing does."""
    plain = unqualified(name)
    if plain == name:
        return ()
    word = _whole(plain, vocabulary, run_together)
    return (word,) if word else _every_word(plain, vocabulary, subwords=False)


def _spelling_of(text: str, vocabulary: Vocabulary) -> str | None:
    """Return the spelling in the vocabulary, whose marks may be letters of their own (NFD)."""
    if text in vocabulary:
        return text
    apart = unicodedata.normalize("NFD", text) if not text.isascii() else text
    return apart if apart != text and apart in vocabulary else None


def _joined(name: str, *joints: str) -> Iterator[str]:
    """Spell a name as one entry, with every joint and case, first in its own number."""
    for written in inflected(split_words(name)):
        lower = [word.lower() for word in written]
        title = [word if word in _JOINING_WORDS else word.capitalize() for word in lower]
        for joint, cased in product(joints, (written, lower, title)):
            yield joint.join(cased)


def _every_word(name: str, vocabulary: Vocabulary, subwords: bool) -> tuple[str, ...]:
    """Return the words of a name that carry its meaning, or () if one of them has no vector."""
    words = _content_words(name, vocabulary)
    spellings = [_known_spelling(word, vocabulary, subwords) for word in words]
    return tuple(word for word in spellings if word) if all(spellings) else ()


def _known_spelling(word: str, vocabulary: Vocabulary, subwords: bool) -> str | None:
    """Return a known spelling of a word; with `subwords`, one whose subwords make a vector."""
    for form in (word, *inflections(word)):
        for spelling in (form, form.lower(), form.capitalize()):
            if known := _spelling_of(spelling, vocabulary):
                return known
    return word.lower() if subwords and vocabulary.has_subword_vector(word.lower()) else None


def _content_words(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the words of a name without joining words, unless it has no others."""
    words = _split_known(name, vocabulary)
    return tuple(word for word in words if word.lower() not in _JOINING_WORDS) or words


def _split_known(name: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Split a name into words, but keep entries such as t-shirt, wi-fi and u.s. whole.

    Their parts of one or two letters mean nothing alone.
    """
    text = separated(name)
    parts = [match.span() for match in _PART.finditer(text)]
    words = []
    while parts:
        entries = ((n, _entry(text, parts[:n], vocabulary)) for n in (4, 3, 2) if n <= len(parts))
        n, word = next(filter(itemgetter(1), entries), (1, text[slice(*parts[0])]))
        words.append(word)
        parts = parts[n:]
    return tuple(words)


def _entry(text: str, parts: Sequence[tuple[int, int]], vocabulary: Vocabulary) -> str:
    """Parts of a name with the marks between them, "" if they are no entry of the vocabulary."""
    start, end = parts[0][0], parts[-1][1]
    entry, next_mark = text[start:end], text[end : end + 1]
    short = any(last - first <= 2 for first, last in parts)
    if not short or re.search(r"[\s_]", entry) or next_mark in ("'", "’"):  # jack-o'-lantern
        return ""
    forms = (f"{entry}.", entry) if next_mark == "." else (entry,)
    return next((f for f in forms if _known_spelling(f, vocabulary, subwords=False)), "")
