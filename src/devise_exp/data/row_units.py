"""Rows that must stay together: copies of one image, and images of one group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devise_exp.data.perceptual_hash import join_groups


def content_groups(contents: Sequence[str]) -> np.ndarray:
    """Number rows by their content.

    Args:
        contents: (N,) what each row shows.

    Returns:
        (N,) int64: the lowest row of the same content.
    """
    _, first, number = np.unique(np.asarray(contents), return_index=True, return_inverse=True)
    lowest: np.ndarray = first[number]
    return lowest


def with_groups(units: np.ndarray, groups: Sequence[str | None] | None) -> np.ndarray:
    """Join the rows of a group.

    Args:
        units: (N,) int64: the lowest row that a row stays with.
        groups: (N,) the group of each row, None for a row without one; None: no groups.

    Returns:
        (N,) int64: the same with the rows of each group together.
    """
    if groups is None:
        return units
    first: dict[str, int] = {}
    pairs = [
        (first.setdefault(group, row), row) for row, group in enumerate(groups) if group is not None
    ]
    a, b = np.array(pairs, int).reshape(-1, 2).T
    return join_groups(units, a, b)
