"""The options of labels that name classes: merges, and what a person types for an alias."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import NameIndex, name_of
from devise_exp.core.overrides import read_override
from devise_exp.core.spelling import nearest_spellings

ALIAS_OVERRIDE = "++labels.aliases.NAME=WORD"
FILES = "labels.aliases_file=FILE.csv with lines NAME,WORD"
_SIMPLE = re.compile(r"[A-Za-z_][\w-]*|0|[1-9]\d*", re.ASCII)
_ESCAPED = re.compile(r"([\\()\[\]{}:=,\t ])")


def as_names(options: Mapping[Any, Any], classes: Sequence[str] = ()) -> dict[str, Any]:
    """Read keys and numbers in merges or aliases as names, whatever YAML has made of them.

    Args:
        options: Keys and values as a config has them: a class called 42 or null is no text there.
        classes: The classes that the keys may name.

    Returns:
        Text -> text, or a value that is neither a text nor a number.
    """
    index = NameIndex(classes)
    return {
        index.find(key): str(value) if type(value) in (int, float) else value
        for key, value in options.items()
    }


def alias_override(name: str, word: str = "WORD") -> str:
    r"""Write the argument that gives a class another word, as a shell takes it.

    Args:
        name: The class.
        word: The word.

    Returns:
        The argument; the option of a file for a name that no argument can hold.

    Example:
        >>> print(alias_override("okapi"), alias_override("crane (bird)"))
        ++labels.aliases.okapi=WORD '++labels.aliases={crane\ \(bird\): WORD}'
    """
    return _override("aliases", name, word) or FILES


def merge_override(name: str, target: str) -> str:
    """Write the argument that joins a class to another, as a shell takes it.

    Args:
        name: The class.
        target: The class that it joins.

    Returns:
        The argument; the option of a file for a name that no argument can hold.
    """
    return _override("merges", name, target) or "labels.merges_file=FILE.csv with lines NAME,OTHER"


def _override(option: str, name: str, value: str) -> str | None:
    """An argument that Hydra reads as this name and value, None if there is none."""
    texts = (value, f"'{value}'")
    simple = [f"++labels.{option}.{name}={text}" for text in texts if _SIMPLE.fullmatch(name)]
    key = _ESCAPED.sub(r"\\\1", name)
    for argument in (*simple, *(f"++labels.{option}={{{key}: {text}}}" for text in texts)):
        key_and_value = read_override(argument)
        if key_and_value is None:
            continue
        path, read = key_and_value
        if isinstance(read, dict):
            matches = {name_of(k, [name]): v for k, v in read.items()} == {name: value}
        else:
            matches = path.endswith(f".{name}") and read == value
        if matches:
            return argument if argument in simple[:1] else shlex.quote(argument)
    return None


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
    known = NameIndex(classes)
    merges = {name: known.find(v) for name, v in as_names(merges, classes).items()}
    require_classes([*merges, *merges.values()], classes, "merges")
    for old, target in merges.items():
        if target in merges:
            raise InputError(
                f"labels.merges joins {old!r} to {target!r}, which is itself joined to "
                f"{merges[target]!r}: join each class to one that remains"
            )
    kept = tuple(name for name in classes if name not in merges)
    index = {name: i for i, name in enumerate(kept)}
    return kept, np.array([index[merges.get(name, name)] for name in classes], dtype=np.int64)


def require_classes(names: Iterable[str], classes: Sequence[str], option: str) -> None:
    """Check that an option names classes.

    Args:
        names: What it names.
        classes: C class names.
        option: Its name below `labels`.

    Raises:
        InputError: If a name is none of the classes.
    """
    known = set(classes)
    for name in names:
        if name not in known:
            near = nearest_spellings(name, classes)
            hint = f"did you mean {' or '.join(near)}?" if near else "take it out"
            raise InputError(
                f"labels.{option} names {name!r}, none of the {len(classes)} classes: {hint}"
            )
