"""The words of one class name: the spellings that are tried in a vocabulary, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from devise_exp.text.names import inflected, inflections, split_synonyms, split_words, strip_marks
from devise_exp.text.vocabulary import Vocabulary

# A frequent run-together compound goes before the average of its words: in GloVe 6B, lighthouse
# and teapot (ranks 12 and 53 thousand) have sensible neighbours, icecream and golfball (over
# 200 thousand) have none.
FREQUENT_RANK = 100_000
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
        if words := _every_word(synonym, vocabulary, subwords=False):
            return words, "averaged"
    for spelling in (spelling for synonym in synonyms for spelling in _joined(synonym, "", "-")):
        if spelling in vocabulary:
            return (spelling,), "exact"
    for synonym in synonyms:
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
    words = [word for synonym in split_synonyms(name)[:1] for word in split_words(synonym)]
    return tuple(
        spelling
        for word in words
        if _known_spelling(word, vocabulary, subwords=False) is None
        for spelling in vocabulary.near_spellings(word.lower(), 3)
    )


def _joined(name: str, *joints: str) -> Iterator[str]:
    """Spell a name as one entry, with every joint and case, first in its own number."""
    for written in inflected(split_words(name)):
        lower = [word.lower() for word in written]
        title = [word if word in _JOINING_WORDS else word.capitalize() for word in lower]
        for joint, cased in product(joints, (written, lower, title)):
            yield joint.join(cased)


def _every_word(name: str, vocabulary: Vocabulary, subwords: bool) -> tuple[str, ...]:
    """Return the words of a name that carry its meaning, or () if one of them has no vector."""
    spellings = [_known_spelling(word, vocabulary, subwords) for word in _content_words(name)]
    return tuple(word for word in spellings if word) if all(spellings) else ()


def _known_spelling(word: str, vocabulary: Vocabulary, subwords: bool) -> str | None:
    """Return a known spelling of a word; with `subwords`, one whose subwords make a vector."""
    for form in (word, *inflections(word)):
        for spelling in (form, form.lower(), form.capitalize()):
            if spelling in vocabulary:
                return spelling
    return word.lower() if subwords and vocabulary.has_subword_vector(word.lower()) else None


def _content_words(name: str) -> tuple[str, ...]:
    """Return the words of a name without joining words, unless it has no others."""
    words = split_words(name)
    return tuple(word for word in words if word.lower() not in _JOINING_WORDS) or words
