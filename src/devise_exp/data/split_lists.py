"""Split lists as CoOp publishes them: {"train": [[path, number, class name], ...], "val", "test"}.

The files split_zhou_<Dataset>.json of Zhou et al. (IJCV 2022), which CoCoOp and its successors
share. Paths begin in the data set's folder of images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed

COLUMNS = ("image", "label", "split")
_PARTS = ("train", "val", "test")
_LARGEST = 2**28  # bytes; that of the 1.2 million images of ImageNet has 2**27
_BEGINNING = re.compile(rf'\ufeff?\s*{{\s*"(?:{"|".join(_PARTS)})"\s*:\s*\[')
_HINT = 'give {"train": [[PATH, NUMBER, CLASS], ...], "val": ..., "test": ...}'


def is_split_list(path: Path) -> bool:
    """Tell whether a .json file begins as a split list.

    Args:
        path: The file.

    Returns:
        Whether its first key is a part that holds a list.
    """
    with path.open(encoding="utf-8", errors="replace") as stream:
        return bool(_BEGINNING.match(stream.read(200)))


def listed_images(path: Path, option: str) -> Iterator[tuple[str, tuple[Any, ...] | str]]:
    """Read the images of a split list.

    Args:
        path: The file.
        option: The option that names it, for messages.

    Yields:
        Where an image is listed; and its path, class name and part, or why it cannot be read.

    Raises:
        InputError: If the file cannot be read, or is no split list.
    """
    for part, entries in _read(path, option).items():
        for number, entry in enumerate(entries, start=1):
            where = f"{path.name}, {part} {number}"
            if _is_entry(entry):
                yield where, (entry[0], entry[2], part)
            else:
                yield where, "not [path, number, class name]"


def class_order(path: Path, option: str) -> list[str]:
    """List the classes of a split list by their numbers.

    Args:
        path: The file.
        option: The option that names it, for messages.

    Returns:
        Class names, that of the lowest number first.

    Raises:
        InputError: If the file cannot be read or is no split list, or a class has two numbers.
    """
    numbers: dict[str, int] = {}
    for entries in _read(path, option).values():
        for entry in filter(_is_entry, entries):
            if numbers.setdefault(entry[2], entry[1]) != entry[1]:
                raise InputError(
                    f"{option}={path}: class {entry[2]} has the numbers {numbers[entry[2]]} and "
                    f"{entry[1]}: give it one"
                )
    if not numbers:
        raise InputError(f"{option}={path} lists no image: {_HINT}")
    return sorted(numbers, key=numbers.__getitem__)


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 3
        and isinstance(entry[0], str)
        and type(entry[1]) is int
        and isinstance(entry[2], str)
    )


def _read(path: Path, option: str) -> dict[str, list[Any]]:
    """The parts of a split list."""
    if not path.is_file():
        raise InputError(f"{option}={path}: no such file: {_HINT}")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{option}={path}: larger than {_LARGEST:,} bytes: {_HINT}")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{option}={path}: damaged ({reason}): get the file again") from None
    if not isinstance(content, dict) or not content:
        raise InputError(f"{option}={path} is no split list: {_HINT}")
    wrong = [str(k)[:40] for k, v in content.items() if k not in _PARTS or not isinstance(v, list)]
    if wrong:
        raise InputError(f"{option}={path}: {listed(wrong)} is no list of a part: {_HINT}")
    return content
