"""What values of a run folder have to be before they are used: the folder may be anybody's.

A wrong value raises ValueError or TypeError, which `runs.files.reading` makes one line of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

LARGEST = 1e18  # the square of a larger number is near the end of float32
LARGEST_GAMMA = 2.001  # the most that two cosines differ by, with their rounding


def matrix(values: np.ndarray, *, rows: int | None = None, columns: int | None = None) -> Any:
    """Check numbers in rows.

    Args:
        values: (N, D) as a file has them.
        rows: The N that other files ask for.
        columns: The D that other files ask for.

    Returns:
        The same array.
    """
    if values.ndim != 2 or values.dtype.kind != "f" or not values.shape[1]:
        raise ValueError(f"{values.dtype} {values.shape}: no rows of numbers")
    if rows not in (None, len(values)) or columns not in (None, values.shape[1]):
        raise ValueError(f"{values.shape} instead of {(rows, columns)}")
    if len(values) and not np.abs(values).max() <= LARGEST:  # also if one is NaN
        raise ValueError("a number is not finite")
    return values


def vector(values: np.ndarray, *, length: int | None = None) -> Any:
    """Check numbers in a row.

    Args:
        values: (N,) as a file has them.
        length: The N that other values ask for.

    Returns:
        The same array.
    """
    return matrix(values[None], columns=length)[0]


def ids(values: np.ndarray, *, below: int | None = None) -> np.ndarray:
    """Check ids.

    Args:
        values: (N,) as a file has them.
        below: The number of things that have an id, None if it is not known.

    Returns:
        The same array.
    """
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"{values.dtype} {values.shape}: no ids")
    if len(values) and (values.min() < 0 or (below is not None and values.max() >= below)):
        raise ValueError("an id is out of range")
    return values


def table(values: np.ndarray) -> np.ndarray:
    """Check ids in rows.

    Args:
        values: (N, K) as a file has them.

    Returns:
        The same array.
    """
    if values.ndim != 2:
        raise ValueError(f"{values.shape}: no rows of ids")
    ids(values.ravel())
    return values


def flag(value: Any) -> bool:
    """Check a truth value.

    Args:
        value: Of a JSON file or an array.

    Returns:
        The value.
    """
    if isinstance(value, np.ndarray):
        value = value.item()
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def number(value: Any) -> float:
    """Check a number.

    Args:
        value: Of a JSON file or an array.

    Returns:
        The value, finite.
    """
    if isinstance(value, np.ndarray):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return value


def gamma(value: np.ndarray) -> np.ndarray:
    """Check the gamma of calibrated stacking.

    Args:
        value: A number as a file has it.

    Returns:
        The same array.
    """
    if abs(number(value)) > LARGEST_GAMMA:
        raise ValueError(f"gamma {value}: two cosines do not differ by as much")
    return value


def text(value: Any) -> str:
    """Check a text.

    Args:
        value: Of a JSON file.

    Returns:
        The value.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def texts(values: Any) -> tuple[str, ...]:
    """Check a list of texts.

    Args:
        values: Of a JSON file.

    Returns:
        The values.
    """
    if not isinstance(values, list | tuple):
        raise TypeError(f"{values!r} is no list")
    return tuple(map(text, values))


def scalars(values: Any) -> dict[str, Any]:
    """Check texts, numbers and truth values by name.

    Args:
        values: Of a JSON file.

    Returns:
        The values.
    """
    if not isinstance(values, Mapping):
        raise TypeError("no values by name")
    for key, value in values.items():
        if value is not None and not isinstance(value, str | int | float):
            raise TypeError(f"{key} is {type(value).__name__}")
    return dict(values)
