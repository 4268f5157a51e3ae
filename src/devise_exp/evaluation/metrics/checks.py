"""Checks of what metrics are given."""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError


def check_k(k: int, n_candidates: int) -> None:
    """InputError unless hit@k means something among `n_candidates`."""
    if not 1 <= k <= n_candidates:
        raise InputError(
            f"k is {k}, but there are {n_candidates} candidates: "
            f"set k to a number from 1 to {n_candidates}"
        )


def check_truth(truth: np.ndarray, candidates: np.ndarray) -> None:
    """InputError for a query with no true answer: an id in `truth` (N,), not `candidates` (C,)."""
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
    values = np.asarray(values)
    if values.ndim != ndim or values.size == 0 or values.dtype.kind not in "iu":
        raise InputError(
            f"{what}: found shape {values.shape} of {values.dtype}; "
            f"give at least one whole number, in {ndim} dimension(s)"
        )
    return values


def check_flags(values: np.ndarray, what: str, ndim: int) -> np.ndarray:
    """`values` as an array; InputError unless they are at least one truth value in `ndim`
    dimensions.
    """
    values = np.asarray(values)
    if values.ndim != ndim or values.size == 0 or values.dtype != np.bool_:
        raise InputError(
            f"{what}: found shape {values.shape} of {values.dtype}; "
            f"give at least one true or false, in {ndim} dimension(s)"
        )
    return values


def check_same_length(one: np.ndarray, one_name: str, other: np.ndarray, other_name: str) -> None:
    if len(one) != len(other):
        raise InputError(
            f"{one_name} has {len(one)} rows but {other_name} has {len(other)}: "
            "give both one row per query"
        )


def check_no_repeats(ids: np.ndarray, what: str) -> None:
    ordered = np.sort(ids, axis=1)
    repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(repeated):
        raise InputError(
            f"{what}: row {repeated[0]} names an id twice ({len(repeated)} of {len(ids)} rows do): "
            "rank each candidate once"
        )
