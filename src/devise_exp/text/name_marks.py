"""What data sets add to names: numbers, ids of WordNet and qualifiers, and names without them."""

from __future__ import annotations

import re
from functools import lru_cache

REMEMBERED = 1 << 16  # names, so that one that is asked about again is not taken apart again
_DIGIT = re.compile(r"\d")
_OPENING = re.compile(r"[(\[{]")
_NUMBER_PREFIX = re.compile(r"^\d{3}\.(?=\S)")  # Caltech-256 and CUB number their classes: 001.ak47
_SUFFIX_101 = re.compile(r"(?<=[^\W\d_]{2})-101$")  # Caltech-256 marks Caltech-101's classes
# What numbers classes, before a name (01_llama, 1. llama) or behind it (llama_2, llama (2)).
_LEADING_NUMBER = re.compile(r"^[\s(\[#]*\d+[\s_.)\]:-]+(?=.*[^\W\d_])")
_LEADING_ZEROS = re.compile(r"^0\d+(?=[^\W\d_]{2})")
_SHORT_ENDING = re.compile(r"(?<=[\w)\]])[\s_.(#-]+\d{1,2}[\s)]*$")  # longer: boeing_747
_ANY_ENDING = re.compile(r"(?<=[\w)\]])[\s_.(#-]+\d+[\s)]*$|(?<=[^\W\d_]{3})\d+$")
_QUALIFIER = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\})\s*")
_EMPTY_BRACKETS = re.compile(r"\(\s*\)|\[\s*\]")
_SYNSET = re.compile(r"\.n\.\d+$")  # nltk's names: llama.n.01
ID_IN_NAME = re.compile(r"(?<![^\W_])n\d{8}(?![^\W_])")  # of WordNet: n02437616-llama


def strip_marks(name: str) -> str:
    """Remove the marks of Caltech-256 and CUB from a class name.

    Args:
        name: A class name.

    Returns:
        The name without a leading "001." and a trailing "-101".
    """
    name = name.strip()
    return _SUFFIX_101.sub("", _NUMBER_PREFIX.sub("", name)) if _DIGIT.search(name) else name


def unnumbered(name: str) -> str:
    """Remove what a data set adds to sort or to number its classes.

    Args:
        name: A class name, one synonym.

    Returns:
        The name without WordNet ids, a leading number and a number of one or two digits behind it;
        the name as it is if no letter would be left.

    Example:
        >>> [unnumbered(name) for name in ("01_llama", "1. llama", "n02437616-llama", "llama (2)")]
        ['llama', 'llama', 'llama', 'llama']
    """
    return _without_numbers(name, _SHORT_ENDING)


def unqualified(name: str) -> str:
    """Remove what stands in brackets.

    Args:
        name: A class name, one synonym.

    Returns:
        The name without its qualifiers, or as it is if no letter would be left.

    Example:
        >>> unqualified("crane (machine)")
        'crane'
    """
    return _without(name, _QUALIFIER) if _OPENING.search(name) else name


@lru_cache(maxsize=REMEMBERED)
def readings(name: str) -> tuple[str, ...]:
    """List what a class name may mean: as it is, and without numbers, ids and qualifiers.

    Args:
        name: A class name, one synonym.

    Returns:
        Distinct names, the whole one first.

    Example:
        >>> readings("007 crane (bird)_12")
        ('007 crane (bird)_12', 'crane (bird)', 'crane')
    """
    plain = _without_numbers(name, _ANY_ENDING)
    return tuple(dict.fromkeys((name, plain, unqualified(plain))))


def _without_numbers(name: str, ending: re.Pattern[str]) -> str:
    """A name without what numbers it; most have no digit, so that nothing is looked for."""
    if not _DIGIT.search(name):
        return name
    return _without(name, _SYNSET, ID_IN_NAME, _LEADING_NUMBER, _LEADING_ZEROS, ending)


def _without(name: str, *patterns: re.Pattern[str]) -> str:
    """A name without what matches, unless no letter or one of the alphabet alone would remain."""
    for pattern in patterns:
        rest = pattern.sub(" ", name)
        if rest != name:
            rest = _EMPTY_BRACKETS.sub("", rest).strip(" _-.,")
            letters = "".join(filter(str.isalpha, rest))
            name = rest if len(letters.encode()) > 1 else name
    return name
