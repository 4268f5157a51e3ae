"""Metrics of ranked images: precision at k, average precision, and the recall of an index.

Q is the number of queries, N that of the images that each of them ranks.
"""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import check_flags, check_ids, check_no_repeats
from devise_exp.index.unit_rows import check_k


def precision_at_k(relevant: np.ndarray, k: int) -> np.ndarray:
    """Compute P@k, the share of relevant images among the k best.

    Args:
        relevant: (Q, N) bool, each row in ranked order.
        k: Number of images that count.

    Returns:
        (Q,) P@k; a query with R < k relevant images reaches at most R / k.

    Example:
        >>> precision_at_k(np.array([[True, False, True, False]]), 2).tolist()
        [0.5]
    """
    relevant = check_flags(relevant, "relevant", 2)
    check_k(k, relevant.shape[1])
    return np.asarray(relevant[:, :k].mean(axis=1))


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """Compute AP, the mean of the precision at the rank of each relevant image.

    Not interpolated (Manning et al. 2008, section 8.4); the mean over queries is mAP.

    Args:
        relevant: (Q, N) bool, each row the whole ranking.

    Returns:
        (Q,) AP.

    Raises:
        InputError: A query has no relevant image.
    """
    relevant = check_flags(relevant, "relevant", 2)
    without = np.flatnonzero(~relevant.any(axis=1))
    if len(without):
        raise InputError(
            f"average precision is not defined without a relevant image: query {without[0]} has "
            f"none ({len(without)} of {len(relevant)} queries): leave these queries out"
        )
    n_relevant = relevant.cumsum(axis=1)  # (Q, N) up to each rank
    precision = n_relevant / np.arange(1, relevant.shape[1] + 1)
    return np.asarray((precision * relevant).sum(axis=1) / n_relevant[:, -1])


def chance_average_precision(n_relevant: np.ndarray, n: int) -> np.ndarray:
    """Compute the expected AP of a random ranking (Bestgen 2015).

    Rank i is relevant with probability R / N, and then each of the i - 1 ranks before it with
    (R - 1) / (N - 1); so the expectation is (1 / N) sum_i (1 + (i - 1) (R - 1) / (N - 1)) / i
    = 1 - (1 - H_N / N) (N - R) / (N - 1), with H_N the harmonic number.

    Args:
        n_relevant: (Q,) number of relevant images of each query.
        n: Number of images that are ranked.

    Returns:
        (Q,) expected AP.

    Raises:
        InputError: A number of relevant images is not between 1 and n.
    """
    n_relevant = check_ids(n_relevant, "n_relevant", 1)
    if n_relevant.min() < 1 or n_relevant.max() > n:
        raise InputError(
            f"{n_relevant.min()} to {n_relevant.max()} relevant of {n}: give numbers from 1 to {n}"
        )
    harmonic = (1 / np.arange(1, n + 1)).sum()
    return np.asarray(1 - (1 - harmonic / n) * (n - n_relevant) / max(n - 1, 1))


def index_recall(neighbours: np.ndarray, exact: np.ndarray) -> float:
    """Compute the share of the exact neighbours that an index finds.

    Args:
        neighbours: (N, k) ids that the index finds.
        exact: (N, k) ids of exact search.

    Returns:
        Mean over queries.

    Raises:
        InputError: The arrays differ in shape, or a row names an id twice.
    """
    neighbours, exact = check_ids(neighbours, "neighbours", 2), check_ids(exact, "exact", 2)
    if neighbours.shape != exact.shape:
        raise InputError(
            f"neighbours has shape {neighbours.shape}, exact {exact.shape}: search both with the "
            "same k"
        )
    check_no_repeats(neighbours, "neighbours")
    check_no_repeats(exact, "exact")
    # No id repeats within a row of either, so an id that repeats in the joined row is in both.
    joined = np.sort(np.concatenate([neighbours, exact], axis=1), axis=1)  # (N, 2k)
    return float((joined[:, 1:] == joined[:, :-1]).sum() / exact.size)
