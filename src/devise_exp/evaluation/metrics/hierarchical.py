"""Hierarchical precision at k (Frome et al. 2013)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import check_k, check_truth
from devise_exp.text.wordnet.hierarchy import UNPLACED


def correct_sets(
    distances: np.ndarray, truth: np.ndarray, candidates: np.ndarray, k: int
) -> np.ndarray:
    """Whether (N, M) each of the `candidates` (M,) is a right answer at k for each class in `truth`
    (N,), by DeViSE's supplement (Frome et al. 2013, appendix B).

    Around the true label the radius grows, 0, 1, 2 hops and so on, and takes in all candidates
    that many hops away, until there are at least k of them. `distances`: (C, C) of all classes.
    InputError for a true label that is no candidate or has no place, and for k above the number of
    candidates that have one.
    """
    check_truth(truth, candidates)
    if (distances[truth, truth] == UNPLACED).any():
        raise InputError("a true label has no place in the hierarchy: leave its images out")
    hops = distances[np.ix_(truth, candidates)]  # (N, M)
    check_k(k, int((hops[0] != UNPLACED).sum()))
    hops = np.where(hops == UNPLACED, np.iinfo(np.int32).max, hops)
    radius = np.partition(hops, k - 1, axis=1)[:, k - 1 : k]  # (N, 1) takes in the k-th nearest
    return np.asarray(hops <= radius)


def hierarchical_precision(
    neighbours: np.ndarray, truth: np.ndarray, candidates: np.ndarray, distances: np.ndarray, k: int
) -> np.ndarray:
    """Share (N,) of each image's k nearest labels that are right answers at k; the mean over images
    is hierarchical precision@k. At k = 1 it is hit@1.

    neighbours: (N, K) class ids among the `candidates` (M,), best first, K >= k; truth: (N,) class
    ids; distances: (C, C). Raises what correct_sets raises, and InputError for K < k.
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
    """k -> hierarchical precision@k (n,) of the n images whose class has a place, for those `ks`
    that the candidates with a place suffice for.
    """
    placed = distances.diagonal() != UNPLACED  # (C,)
    images = placed[truth]
    ks = [k for k in ks if k <= placed[candidates].sum()] if images.any() else []
    found, true = neighbours[images], truth[images]
    return {k: hierarchical_precision(found, true, candidates, distances, k) for k in ks}


def chance_precision(
    truth: np.ndarray, candidates: np.ndarray, distances: np.ndarray, k: int
) -> np.ndarray:
    """Expected hierarchical precision@k (N,) of a random ranking of the candidates.

    It is more than k of M: labels that are equally far away are right answers together.
    """
    classes, row = np.unique(truth, return_inverse=True)
    return np.asarray(correct_sets(distances, classes, candidates, k).mean(axis=1)[row])
