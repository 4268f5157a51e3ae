"""Calibrated stacking: images ranked among all labels, with those of seen classes held back.

A model trained on the seen classes favours their labels. Calibrated stacking (Chao et al. 2016)
subtracts one number, gamma, from the similarity of every seen label. N is the number of images.
"""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.index.unit_rows import check_k

# Ids (N, k) and similarities (N, k) of a search, best first.
SearchResult = tuple[np.ndarray, np.ndarray]


def calibrate_results(
    among_seen: SearchResult, among_unseen: SearchResult, gamma: float, k: int
) -> np.ndarray:
    """Rank as `calibrated_search`.

    Args:
        among_seen: As there.
        among_unseen: As there.
        gamma: As there.
        k: As there.

    Returns:
        (N, k) class ids, best first.

    Raises:
        InputError: As there.
    """
    return calibrated_search(among_seen, among_unseen, gamma, k)[0]


def calibrated_search(
    among_seen: SearchResult, among_unseen: SearchResult, gamma: float, k: int
) -> SearchResult:
    """Merge two searches of the same images to the search among all labels at one gamma.

    At the same similarity seen labels come first, and the labels of a side stay in their order.

    Args:
        among_seen: Search among the seen labels, of k labels or of all.
        among_unseen: Search among the unseen labels, of k labels or of all.
        gamma: Number subtracted from the similarity of seen labels.
        k: Number of labels to rank.

    Returns:
        (N, k) class ids and similarities, those of seen labels lowered by gamma, best first.

    Raises:
        InputError: gamma is not finite, the searches are of different numbers of images, or k is
            above the number of their labels.
    """
    (seen_ids, seen_score), (unseen_ids, unseen_score) = among_seen, among_unseen
    if len(seen_ids) != len(unseen_ids) or not np.isfinite(gamma):
        raise InputError(
            f"{len(seen_ids)} and {len(unseen_ids)} images, gamma {gamma}: search both sides "
            "with the same images, and give a finite gamma"
        )
    ids = np.concatenate([seen_ids, unseen_ids], axis=1)
    check_k(k, ids.shape[1])
    lowered = seen_score.astype(np.float64) - gamma
    scores = np.concatenate([lowered, unseen_score], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
