"""Folder names that say which part of a published split lies in them: train, val or test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Part = Literal["train", "val", "test"]
# fmt: off
_WORDS: dict[str, Part] = {
    "train": "train", "training": "train", "trn": "train", "trainval": "train",
    "trainvalid": "train",
    "val": "val", "vali": "val", "valid": "val", "validation": "val", "validate": "val",
    "validating": "val", "dev": "val", "devel": "val", "eval": "val", "evaluation": "val",
    "test": "test", "testing": "test", "tst": "test", "holdout": "test", "heldout": "test",
}
# What stands beside these words in a folder's name and says nothing of a class.
_FILLERS = frozenset((
    "set", "sets", "data", "dataset", "datasets", "split", "splits", "part", "parts", "folder",
    "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "pics",
    "frames", "sample", "samples", "jpg", "jpeg", "png", "jpegimages", "final", "full", "small",
    "new", "original", "originals", "raw", "clean", "cropped", "resized", "seg", "cls", "labeled",
    "labelled", "the", "my", "for", "in", "and", "all", "zip", "extracted", "v", "fold",
    "public", "private", "mini",
))
# fmt: on
_NAMES = "|".join(sorted(_WORDS, key=len, reverse=True))
# trainset, valdata, testimages
_GLUED = re.compile(rf"({_NAMES})({'|'.join(sorted(_FILLERS, key=len, reverse=True))})?")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TOKENS = re.compile(r"[^\W\d_]+")
_HOLD_OUT = re.compile(r"(hold|held)[\W_]+out(?![a-z])")


def part_of(name: str) -> Part | None:
    """Tell which part a folder's name alone says, in any of its usual spellings.

    Args:
        name: The name of a folder.

    Returns:
        The part; None if the name says more or other things.

    Example:
        >>> [part_of(name) for name in ("Training_Set", "val2017", "hold-out", "bullet train")]
        ['train', 'val', 'test', None]
    """
    part, rest = _part_and_rest(name)
    return part if rest <= _FILLERS else None


def is_filler(name: str) -> bool:
    """Tell whether a folder's name says nothing of what its images show, as in images or JPEG.

    Args:
        name: The name of a folder.

    Returns:
        Whether all its words are of that kind.

    Example:
        >>> is_filler("Raw Images"), is_filler("golden")
        (True, False)
    """
    words = {word.lower() for word in _TOKENS.findall(_CAMEL_CASE.sub(" ", name))}
    return bool(words) and words <= _FILLERS


def parts_among(names: Iterable[str]) -> dict[str, Part]:
    """Find the folders that are parts, among folders that lie in one place.

    A word that several of them share says nothing either: asl_alphabet_train, asl_alphabet_test.

    Args:
        names: The names of the folders.

    Returns:
        Name -> part, of those that are parts. Of an eval beside a val or without a test it is test.
    """
    names = list(names)
    parts: dict[str, Part] = {}
    by_rest: dict[frozenset[str], dict[str, Part]] = {}
    for name in names:
        part, rest = _part_and_rest(name)
        if part is not None:
            by_rest.setdefault(rest - _FILLERS, {})[name] = part
    for rest, group in by_rest.items():
        if not rest or len(set(group.values())) > 1:
            parts |= group
    return _with_eval(parts)


def _with_eval(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Let a folder eval test if no other one does, or if another one validates."""
    evals = [name for name in parts if {"eval", "evaluation"} & _words(name)]
    others = {part for name, part in parts.items() if name not in evals}
    is_test = "test" not in others or "val" in others
    return {n: "test" if n in evals and is_test else part for n, part in parts.items()}


def _part_and_rest(name: str) -> tuple[Part | None, frozenset[str]]:
    """Return the part that a name has one word of, and its other words."""
    words = _words(name)
    parts: set[Part] = {_WORDS[word] for word in words if word in _WORDS}
    if parts == {"train", "val"}:  # train_val: all that is not for the test
        parts = {"train"}
    if len(parts) != 1:
        return None, frozenset(words)
    return parts.pop(), frozenset(word for word in words if word not in _WORDS)


def _words(name: str) -> set[str]:
    """Return the words of a name in lower case, without numbers; trainset is train and set."""
    plain = _HOLD_OUT.sub(r"\1out", _CAMEL_CASE.sub(" ", name).lower())
    words: set[str] = set()
    for word in _TOKENS.findall(plain):
        glued = _GLUED.fullmatch(word)
        words |= {group for group in glued.groups() if group} if glued else {word}
    return words
