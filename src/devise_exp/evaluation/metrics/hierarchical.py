"""Hierarchical precision at k (Frome et al. 2013).

C is the number of all classes, M that of the candidates, N that of the images.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import check_truth
from devise_exp.index.unit_rows import check_k
from devise_exp.text.wordnet.hierarchy import UNPLACED

MIN_CLASSES = 5  # precision over fewer classes says nothing of the others: tables leave it out


def correct_sets(
    distances: np.ndarray, truth: np.ndarray, candidates: np.ndarray, k: int
) -> np.ndarray:
    """Find the candidates that are right answers at k (Frome et al. 2013, appendix B).

    Around the true label the radius grows, 0, 1, 2 hops and so on, and takes in all candidates
    that many hops away, until there are at least k of them.

    Args:
        distances: (C, C) hops between classes.
        truth: (N,) class ids.
        candidates: (M,) class ids.
        k: Least number of right answers.

    Returns:
        (N, M) bool.

    Raises:
        InputError: A true label is no candidate or has no place in the hierarchy, or k is above the
            number of candidates that have one.
    """
    check_truth(truth, candidates)
    if (distances[truth, truth] == UNPLACED).any():
        raise InputError("a true label has no place in the hierarchy: leave its images out")
    return nearest_sets(distances[np.ix_(truth, candidates)], k)


def nearest_sets(hops: np.ndarray, k: int) -> np.ndarray:
    """Find the candidates that are right answers at k, as `correct_sets` does.

    Args:
        hops: (N, M) hops from each true label to each candidate, 0 to itself alone; UNPLACED to a
            candidate that has no place in the hierarchy.
        k: Least number of right answers.

    Returns:
        (N, M) bool.

    Raises:
        InputError: k is above the number of candidates that have a place.
    """
    check_k(k, int((hops != UNPLACED).sum(axis=1).min()))
    hops = np.where(hops == UNPLACED, np.iinfo(np.int32).max, hops)
    radius = np.partition(hops, k - 1, axis=1)[:, k - 1 : k]  # (N, 1) takes in the k-th nearest
    return np.asarray(hops <= radius)


def hierarchical_precision(
    neighbours: np.ndarray, truth: np.ndarray, candidates: np.ndarray, distances: np.ndarray, k: int
) -> np.ndarray:
    """Compute hierarchical precision@k; at k = 1 it is hit@1.

    Args:
        neighbours: (N, K) ids of candidates, best first, K >= k.
        truth: (N,) class ids.
        candidates: (M,) class ids.
        distances: (C, C) hops between classes.
        k: Number of labels that count.

    Returns:
        (N,) share of each image's k nearest labels that are right answers at k.

    Raises:
        InputError: K is below k, or as in `correct_sets`.
    """
    check_k(k, neighbours.shape[1])
    classes, row = np.unique(truth, return_inverse=True)
    right = np.zeros((len(classes), len(distances)), dtype=bool)
    right[:, candidates] = correct_sets(distances, classes, candidates, k)
    return np.asarray(right[row[:, None], neighbours[:, :k]].mean(axis=1))


def precisions(
    neighbours: np.ndarray,
    truth: np.ndarray,
    candidates: np.ndarray,
    distances: np.ndarray,
    ks: Iterable[int],
) -> dict[int, np.ndarray]:
    """Compute hierarchical precision@k of the images whose class has a place in the hierarchy.

    Args:
        neighbours: (N, K) ids of candidates, best first.
        truth: (N,) class ids.
        candidates: (M,) class ids.
        distances: (C, C) hops between classes.
        ks: The ks; those above the number of candidates with a place are left out.

    Returns:
        k -> (n,) precision of the n images.
    """
    placed = distances.diagonal() != UNPLACED  # (C,)
    images = placed[truth]
    ks = [k for k in ks if k <= placed[candidates].sum()] if images.any() else []
    rankings, true = neighbours[images], truth[images]
    return {k: hierarchical_precision(rankings, true, candidates, distances, k) for k in ks}


def support(truth: np.ndarray, distances: np.ndarray) -> tuple[int, int]:
    """Count what hierarchical precision rests on.

    Args:
        truth: (N,) class ids.
        distances: (C, C) hops between classes.

    Returns:
        The number of the images' classes that have a place in the hierarchy, and of their images.
    """
    rows = truth[distances.diagonal()[truth] != UNPLACED]
    return len(np.unique(rows)), len(rows)


def chance_precision(
    truth: np.ndarray, candidates: np.ndarray, distances: np.ndarray, k: int
) -> np.ndarray:
    """Compute the expected hierarchical precision@k of a random ranking.

    It is more than k of M: labels that are equally far away are right answers together.

    Args:
        truth: (N,) class ids.
        candidates: (M,) class ids.
        distances: (C, C) hops between classes.
        k: Number of labels that count.

    Returns:
        (N,) expectation of each image.
    """
    classes, row = np.unique(truth, return_inverse=True)
    return np.asarray(correct_sets(distances, classes, candidates, k).mean(axis=1)[row])
