"""The rows that the files of the benchmark list: their names, and the numbers that mean them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.data.xlsa17.matlab import PUBLISHED, MatlabArrays

PARTS = ("trainval_loc", "test_seen_loc", "test_unseen_loc")
VALIDATION = "val_loc"


def positions(file: Path, arrays: MatlabArrays, key: str, n: int, what: str) -> np.ndarray:
    """Turn numbers from 1 to n into positions from 0.

    Args:
        file: The file of the numbers.
        arrays: Its arrays.
        key: The name of the numbers there.
        n: The largest number that may be there.
        what: What the numbers count.

    Returns:
        (m,) int64.

    Raises:
        InputError: If they are no such numbers.
    """
    numbers = arrays.numbers[key]
    if 1 not in numbers.shape:
        raise InputError(f"{file}: {key} is not a single row or column of numbers: {PUBLISHED}")
    values = numbers.ravel().astype(np.float64)
    # NaN is in no range either.
    wrong = values[~((values >= 1) & (values <= n) & (values == np.round(values)))]
    if len(wrong):
        remedy = "count from 1, as MATLAB does, or " if 0 in wrong else ""
        raise InputError(
            f"{file}: {key} has {wrong[0]:g}, which is none of the {what} 1 to {n}: "
            f"{remedy}{PUBLISHED}"
        )
    return values.astype(np.int64) - 1


def row_names(classes: Sequence[str], paths: Sequence[str]) -> tuple[str, ...]:
    """Name rows <class>/<image> without the images' folders; number those of the same name.

    Args:
        classes: (N,) the class of each row.
        paths: (N,) the image of each row.

    Returns:
        (N,) unique names.
    """
    # As a path of Windows, so that both / and \ separate folders.
    wanted = [
        f"{class_name}/{PureWindowsPath(path).name}"
        for class_name, path in zip(classes, paths, strict=True)
    ]
    taken, times = set(wanted), Counter[str]()
    names = []
    for name in wanted:
        times[name] += 1
        row = name
        while times[name] > 1 and row in taken:
            row = f"{name} {times[name]}"
            times[name] += row in taken
        taken.add(row)
        names.append(row)
    return tuple(names)


def check_parts(
    file: Path,
    classes: Sequence[str],
    labels: np.ndarray,
    parts: Sequence[np.ndarray],
    validation: np.ndarray,
) -> None:
    """Refuse a row that is in two parts, and a class that is on both sides or on none.

    Args:
        file: The file of the parts.
        classes: (C,) class names.
        labels: (N,) positions in classes.
        parts: Positions of rows, as PARTS names them.
        validation: Positions of the rows that validate, perhaps none.

    Raises:
        InputError: If there is such a row or class.
    """
    rows = np.concatenate(parts)
    if len(np.unique(rows)) < len(rows):
        twice = np.flatnonzero(np.bincount(rows) > 1)[0]
        raise InputError(
            f"{file}: row {twice + 1} is more than once in {', '.join(PARTS)}: {PUBLISHED}"
        )
    trainval, test, unseen, validated = (
        set(labels[part].tolist()) for part in (*parts, validation)
    )
    for wrong, what in (
        (trainval ^ test, f"is in only one of {PARTS[0]} and {PARTS[1]}"),
        (trainval & unseen, f"is in both {PARTS[0]} and {PARTS[2]}"),
        (set(range(len(classes))) - trainval - unseen, "is in no part"),
        (validated - trainval, f"is in {VALIDATION} but not in {PARTS[0]}"),
    ):
        if wrong:
            raise InputError(f"{file}: class {classes[min(wrong)]!r} {what}: {PUBLISHED}")
