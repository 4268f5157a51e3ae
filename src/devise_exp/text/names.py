"""How class names are written: their synonyms, words, inflections and spelling keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from devise_exp.text.name_marks import REMEMBERED, strip_marks

_POSSESSIVE = re.compile(r"['’](?:s\b|(?<=s['’])(?!\w))", re.IGNORECASE)
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9]{2})(?=[A-Z][a-z])|(?<=[A-Z]{2})(?=[A-Z][a-z])")  # not iPod
_SEPARATORS = re.compile(r"[\W_]+")
_SEPARATORS_IN_LINE = re.compile(r"[^\w\n]+|_+")
_ASCII_SEPARATORS = {i: None for i in range(128) if _SEPARATORS_IN_LINE.fullmatch(chr(i))}
_PLURAL_IES = re.compile(r"[^aeiou]y$")
_PLURALS = {
    "cactus": "cacti", "child": "children", "die": "dice", "foot": "feet", "fungus": "fungi",
    "goose": "geese", "louse": "lice", "man": "men", "mouse": "mice", "octopus": "octopi",
    "ox": "oxen", "person": "people", "tooth": "teeth", "woman": "women",
}  # fmt: skip
_SINGULARS = {plural: singular for singular, plural in _PLURALS.items()}


def split_synonyms(name: str) -> tuple[str, ...]:
    """Split a class name into its synonyms.

    Args:
        name: Synonyms between commas.

    Returns:
        The synonyms without the spaces around them; empty ones are left out.

    Example:
        >>> split_synonyms("pitcher, ewer")
        ('pitcher', 'ewer')
    """
    return tuple(synonym for part in name.split(",") if (synonym := part.strip()))


@lru_cache(maxsize=REMEMBERED)
def split_words(name: str) -> tuple[str, ...]:
    """Split one name into words, without the marks that data sets add to names.

    Args:
        name: A class name, one synonym.

    Returns:
        The words in the case of the name.

    Example:
        >>> split_words("023.hot-air_balloon"), split_words("GoldenRetriever")
        (('hot', 'air', 'balloon'), ('Golden', 'Retriever'))
    """
    return tuple(_SEPARATORS.sub(" ", separated(name)).split())


def separated(name: str) -> str:
    """Set the words of a name apart, with whatever stands between them.

    Args:
        name: A class name, one synonym.

    Returns:
        The name without the marks of data sets and possessive endings, and with spaces in
        CamelCase.

    Example:
        >>> separated("023.BirdNest_T-shirt's")
        'Bird Nest_T-shirt'
    """
    name = strip_marks(name)
    if "'" in name or "’" in name:
        name = _POSSESSIVE.sub("", name)
    return name if name.islower() else _CAMEL_CASE.sub(" ", name)


@lru_cache(maxsize=REMEMBERED)
def inflections(word: str) -> tuple[str, ...]:
    """List what a word may be as a singular and as a plural.

    Args:
        word: One word, in any case.

    Returns:
        Lower-case forms other than the word itself; some may be no words.

    Example:
        >>> inflections("Mice"), inflections("fox")
        (('mouse', 'mices'), ('foxes',))
    """
    lower = word.lower()
    forms = dict.fromkeys((*_singular_forms(lower), *_plural_forms(lower)))
    return tuple(form for form in forms if form not in ("", lower))


def inflected(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield a name in singular and plural, first as it is.

    Args:
        words: Its words; only the last one changes.

    Yields:
        The words with each form of the last; nothing if there are none.

    Example:
        >>> list(inflected(("sea", "fox")))
        [('sea', 'fox'), ('sea', 'foxes')]
    """
    for last in (words[-1], *inflections(words[-1])) if words else ():
        yield (*words[:-1], last)


def lemma_keys(lines: str) -> str:
    """Reduce many names at once to their spelling keys.

    Args:
        lines: Plain names, one a line.

    Returns:
        A spelling key on every line.
    """
    lines = _POSSESSIVE.sub("", lines)
    if lines.isascii():  # WordNet is; this is quicker than a pattern
        return lines.translate(_ASCII_SEPARATORS).lower()
    return _SEPARATORS_IN_LINE.sub("", lines).lower()


def spelling_key(phrase: str) -> str:
    """Reduce a phrase to the letters that all its spellings share.

    Args:
        phrase: A name in any spelling.

    Returns:
        Its words in lower case without anything between them.

    Example:
        >>> {spelling_key(name) for name in ("sea horse", "Sea_Horse", "seahorse")}
        {'seahorse'}
    """
    return "".join(split_words(phrase)).lower()


def spelling_keys(phrases: Iterable[str]) -> tuple[str, ...]:
    """List the spelling keys of all synonyms in all phrases.

    Args:
        phrases: Names, with synonyms between commas.

    Returns:
        Distinct keys, of each synonym in singular and plural.
    """
    keys: dict[str, None] = {}
    for synonym in (synonym for phrase in phrases for synonym in split_synonyms(phrase)):
        keys |= dict.fromkeys(_keys(synonym))
    return tuple(keys)


@lru_cache(maxsize=REMEMBERED)
def _keys(synonym: str) -> tuple[str, ...]:
    """The spelling keys of one synonym in singular and plural."""
    return tuple("".join(words).lower() for words in inflected(split_words(synonym)))


def _singular_forms(word: str) -> Iterator[str]:
    """Yield what a plural may be as a singular."""
    if word in _SINGULARS:
        yield _SINGULARS[word]
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith("ves"):
        yield from (word[:-3] + "f", word[:-3] + "fe")
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        yield word[:-2]
    # Glass, bus and iris are no plurals: "bu" might be some stray entry.
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        yield word[:-1]


def _plural_forms(word: str) -> Iterator[str]:
    """Yield what a singular may be as a plural."""
    if word in _PLURALS:
        yield _PLURALS[word]
    if word.endswith(("f", "fe")):
        yield word.removesuffix("e")[:-1] + "ves"
    if word.endswith(("s", "x", "z", "ch", "sh", "o")):
        yield word + "es"
    if _PLURAL_IES.search(word):
        yield word[:-1] + "ies"
    elif not word.endswith(("s", "x", "z", "ch", "sh")):
        yield word + "s"
