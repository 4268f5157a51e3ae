"""Metrics of ranked images: precision at k, average precision, and the recall of an index."""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import check_flags, check_ids, check_k, check_no_repeats


def precision_at_k(relevant: np.ndarray, k: int) -> np.ndarray:
    """P@k (Q,): the share of relevant pictures among the k best.

    `relevant` (Q, N) bool, each row in ranked order. A query with R < k relevant pictures reaches
    at most R / k.
    """
    relevant = check_flags(relevant, "relevant", 2)
    check_k(k, relevant.shape[1])
    return np.asarray(relevant[:, :k].mean(axis=1))


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """AP (Q,): the mean, over a query's relevant pictures, of the precision at their places.

    Not interpolated (Manning et al. 2008, section 8.4); the mean over queries is mAP. `relevant`
    (Q, N) bool, each row the whole ranking. InputError for a row without a relevant picture.
    """
    relevant = check_flags(relevant, "relevant", 2)
    without = np.flatnonzero(~relevant.any(axis=1))
    if len(without):
        raise InputError(
            f"average precision is not defined without a relevant picture: query {without[0]} has "
            f"none ({len(without)} of {len(relevant)} queries): leave these queries out"
        )
    found = relevant.cumsum(axis=1)  # (Q, N) relevant pictures up to each place
    precision = found / np.arange(1, relevant.shape[1] + 1)
    return np.asarray((precision * relevant).sum(axis=1) / found[:, -1])


def chance_average_precision(n_relevant: np.ndarray, n: int) -> np.ndarray:
    """Expected AP (Q,) of a random ranking of `n` pictures, `n_relevant` (Q,) of them relevant.

    Place i is relevant with probability R / N, and then each of the i - 1 places before it with
    (R - 1) / (N - 1); so the expectation is (1 / N) sum_i (1 + (i - 1) (R - 1) / (N - 1)) / i
    = 1 - (1 - H_N / N) (N - R) / (N - 1), with H_N the harmonic number (Bestgen 2015).
    """
    n_relevant = check_ids(n_relevant, "n_relevant", 1)
    if n_relevant.min() < 1 or n_relevant.max() > n:
        raise InputError(
            f"{n_relevant.min()} to {n_relevant.max()} relevant of {n}: give numbers from 1 to {n}"
        )
    harmonic = (1 / np.arange(1, n + 1)).sum()
    return np.asarray(1 - (1 - harmonic / n) * (n - n_relevant) / max(n - 1, 1))


def index_recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean over queries of the share of the exact k neighbours that were found; both (N, k) ids."""
    found, exact = check_ids(found, "found", 2), check_ids(exact, "exact", 2)
    if found.shape != exact.shape:
        raise InputError(
            f"found has shape {found.shape}, exact {exact.shape}: search both with the same k"
        )
    check_no_repeats(found, "found")
    check_no_repeats(exact, "exact")
    # No id repeats within a row of either, so an id that repeats in the joined row is in both.
    joined = np.sort(np.concatenate([found, exact], axis=1), axis=1)  # (N, 2k)
    return float((joined[:, 1:] == joined[:, :-1]).sum() / exact.size)
