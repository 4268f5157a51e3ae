"""Checks of the arguments of metrics."""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError


def check_truth(truth: np.ndarray, candidates: np.ndarray) -> None:
    """Refuse queries without a true answer.

    Args:
        truth: (N,) class ids.
        candidates: (C,) class ids that are ranked.

    Raises:
        InputError: A true id is not among the candidates.
    """
    truth, candidates = check_ids(truth, "truth", 1), check_ids(candidates, "candidates", 1)
    absent = np.flatnonzero(~np.isin(truth, candidates))
    if len(absent):
        raise InputError(
            f"a query with no true answer: query {absent[0]} has label {truth[absent[0]]}, "
            f"which is not among the {len(candidates)} candidates "
            f"({len(absent)} of {len(truth)} queries lack theirs): "
            "add the label to the candidates or leave these images out"
        )


def check_ids(values: np.ndarray, what: str, ndim: int) -> np.ndarray:
    """Refuse what are no ids.

    Args:
        values: Ids.
        what: Name of the argument, for the message.
        ndim: Number of dimensions that they must have.

    Returns:
        The ids as an array.

    Raises:
        InputError: They are not at least one whole number in `ndim` dimensions.
    """
    return _check_array(values, what, ndim, "iu", "whole number")


def check_flags(values: np.ndarray, what: str, ndim: int) -> np.ndarray:
    """Refuse what are no truth values.

    Args:
        values: Truth values.
        what: Name of the argument, for the message.
        ndim: Number of dimensions that they must have.

    Returns:
        The truth values as an array.

    Raises:
        InputError: They are not at least one bool in `ndim` dimensions.
    """
    return _check_array(values, what, ndim, "b", "true or false")


def check_same_length(one: np.ndarray, one_name: str, other: np.ndarray, other_name: str) -> None:
    """Refuse arrays of different numbers of rows.

    Args:
        one: First array.
        one_name: Its name, for the message.
        other: Second array.
        other_name: Its name, for the message.

    Raises:
        InputError: They differ in length.
    """
    if len(one) != len(other):
        raise InputError(
            f"{one_name} has {len(one)} rows but {other_name} has {len(other)}: "
            "give both one row per query"
        )


def check_no_repeats(ids: np.ndarray, what: str) -> None:
    """Refuse rankings that name an id twice.

    Args:
        ids: (N, K) ids.
        what: Name of the argument, for the message.

    Raises:
        InputError: A row holds an id twice.
    """
    ordered = np.sort(ids, axis=1)
    repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(repeated):
        raise InputError(
            f"{what}: row {repeated[0]} names an id twice ({len(repeated)} of {len(ids)} rows do): "
            "rank each candidate once"
        )


def _check_array(values: np.ndarray, what: str, ndim: int, kinds: str, element: str) -> np.ndarray:
    """`values` as an array of one of these dtype kinds, with at least one element."""
    values = np.asarray(values)
    if values.ndim != ndim or values.size == 0 or values.dtype.kind not in kinds:
        raise InputError(
            f"{what}: found shape {values.shape} of {values.dtype}; "
            f"give at least one {element}, in {ndim} dimension(s)"
        )
    return values
