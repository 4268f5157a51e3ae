"""From ids to numbers: hit@k, class means, harmonic mean, precision, index recall.

All functions are pure. N is the number of queries (images), K the number of neighbours of each; of
a search, Q is the number of queries and N the number of pictures that each of them ranks.
"""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import (
    check_flags,
    check_ids,
    check_k,
    check_no_repeats,
    check_same_length,
)


def rank_of_truth(neighbours: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Place (N,) of each true id among its neighbours: 0 is the nearest, K is not among them.

    `neighbours` (N, K) ids, best first; `truth` (N,) ids. InputError for a repeated id in a row.
    """
    neighbours, truth = check_ids(neighbours, "neighbours", 2), check_ids(truth, "truth", 1)
    check_same_length(neighbours, "neighbours", truth, "truth")
    check_no_repeats(neighbours, "neighbours")
    true = neighbours == truth[:, None]  # (N, K)
    ranks: np.ndarray = np.where(true.any(axis=1), true.argmax(axis=1), neighbours.shape[1])
    return ranks


def hit_at_k(ranks: np.ndarray, k: int) -> np.ndarray:
    """Whether (N,) each true id is among the k nearest (Frome et al. 2013, section 4.2).

    The mean over images is flat hit@k. `ranks` (N,) from `rank_of_truth` over K >= k neighbours:
    with fewer, a truth that is not among them would count as a hit.
    """
    ranks = check_ids(ranks, "ranks", 1)
    if k < 1:
        raise InputError(f"hit@{k} is not defined: set k to 1 or more")
    return ranks < k


def class_mean(hits: np.ndarray, truth: np.ndarray) -> float:
    """Mean over classes of each class's share of hits; `hits` (N,) bool, `truth` (N,) class ids.

    Only classes that occur in `truth` count (Xian et al. 2018, average per-class accuracy).
    """
    _, shares = per_class(hits, truth)
    return float(shares.mean())


def harmonic_mean(u: float, s: float) -> float:
    """H = 2us / (u + s) of the unseen and seen figures (Xian et al. 2018); 0 when both are 0."""
    for name, value in (("unseen", u), ("seen", s)):
        if not (np.isfinite(value) and value >= 0):
            raise InputError(
                f"the {name} figure is {value}: a harmonic mean needs numbers from 0 up"
            )
    return float(2 * u * s / (u + s)) if u + s else 0.0


def chance(k: int, n_candidates: int) -> float:
    """Expected hit@k of a random ranking of the candidates."""
    check_k(k, n_candidates)
    return k / n_candidates


def per_class(hits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of images and share of hits, both (C,), of each class that occurs in `truth`.

    `hits` (N,) bool, `truth` (N,) class ids; the classes in order of their ids.
    """
    hits = check_flags(hits, "hits", 1)
    truth = check_ids(truth, "truth", 1)
    check_same_length(hits, "hits", truth, "truth")
    _, position = np.unique(truth, return_inverse=True)
    counts = np.bincount(position)
    return counts, np.bincount(position, weights=hits) / counts
