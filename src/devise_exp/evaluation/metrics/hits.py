"""Hits of ranked labels: hit@k, its class mean, chance, and the harmonic mean of two of them.

All functions are pure. N is the number of images, K that of the neighbours of each.
"""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import (
    check_flags,
    check_ids,
    check_no_repeats,
    check_same_length,
)
from devise_exp.index.unit_rows import check_k


def rank_of_truth(neighbours: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Find the rank of each true label.

    Args:
        neighbours: (N, K) class ids, best first, no id twice in a row.
        truth: (N,) class ids.

    Returns:
        (N,) ranks: 0 for the nearest label, K for a label that is not among the neighbours.

    Raises:
        InputError: The arrays hold no ids, differ in length, or a row names an id twice.
    """
    neighbours, truth = check_ids(neighbours, "neighbours", 2), check_ids(truth, "truth", 1)
    check_same_length(neighbours, "neighbours", truth, "truth")
    check_no_repeats(neighbours, "neighbours")
    true = neighbours == truth[:, None]  # (N, K)
    ranks: np.ndarray = np.where(true.any(axis=1), true.argmax(axis=1), neighbours.shape[1])
    return ranks


def hit_at_k(ranks: np.ndarray, k: int) -> np.ndarray:
    """One bool per image: whether its true label is among the k nearest; the mean is flat hit@k.

    Frome et al. 2013, section 4.2.

    Args:
        ranks: (N,) ranks from `rank_of_truth` over K >= k neighbours: with fewer, a label that is
            not among them would count as a hit.
        k: Number of labels that count.

    Returns:
        (N,) bool.

    Raises:
        InputError: k is below 1.

    Example:
        >>> ranks = rank_of_truth(np.array([[2, 0, 1], [0, 1, 2]]), np.array([0, 0]))
        >>> ranks.tolist(), hit_at_k(ranks, 1).mean().item(), hit_at_k(ranks, 2).mean().item()
        ([1, 0], 0.5, 1.0)
    """
    ranks = check_ids(ranks, "ranks", 1)
    if k < 1:
        raise InputError(f"hit@{k} is not defined: set k to 1 or more")
    return ranks < k


def class_mean(hits: np.ndarray, truth: np.ndarray) -> float:
    """Average hits per class, then over classes (Xian et al. 2018).

    Args:
        hits: (N,) bool.
        truth: (N,) class ids; only classes that occur count.

    Returns:
        Mean over classes of each class's share of hits.

    Example:
        >>> class_mean(np.array([True, True, True, False]), np.array([7, 7, 7, 9]))
        0.5
    """
    _, shares = per_class(hits, truth)
    return float(shares.mean())


def harmonic_mean(u: float, s: float) -> float:
    """Compute H = 2us / (u + s) of an unseen and a seen metric (Xian et al. 2018).

    Args:
        u: The unseen metric.
        s: The seen metric.

    Returns:
        H, 0 if both are 0.

    Raises:
        InputError: One of them is negative or not finite.

    Example:
        >>> harmonic_mean(0.25, 0.75)
        0.375
    """
    for name, value in (("unseen", u), ("seen", s)):
        if not (np.isfinite(value) and value >= 0):
            raise InputError(
                f"the {name} metric is {value}: a harmonic mean needs numbers from 0 up"
            )
    return float(2 * u * s / (u + s)) if u + s else 0.0


def chance(k: int, n_candidates: int) -> float:
    """Compute the expected hit@k of a random ranking.

    Args:
        k: Number of labels that count.
        n_candidates: Number of labels that are ranked.

    Returns:
        k / n_candidates.
    """
    check_k(k, n_candidates)
    return k / n_candidates


def per_class(hits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count images and hits per class.

    Args:
        hits: (N,) bool.
        truth: (N,) class ids.

    Returns:
        (C,) number of images and (C,) share of hits of each class that occurs, in order of the ids.
    """
    hits = check_flags(hits, "hits", 1)
    truth = check_ids(truth, "truth", 1)
    check_same_length(hits, "hits", truth, "truth")
    _, position = np.unique(truth, return_inverse=True)
    counts = np.bincount(position)
    return counts, np.bincount(position, weights=hits) / counts
