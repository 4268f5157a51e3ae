"""AUROC: how well a score tells two kinds of things apart."""

from __future__ import annotations

import numpy as np


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Compute the area under the receiver operating characteristic, by counting.

    It is the share of pairs in which the positive score is the higher one, ties counted by half
    (Hanley and McNeil 1982): 0.5 is chance.

    Args:
        positive: (P,) scores that should be high.
        negative: (N,) scores that should be low.

    Returns:
        The area, from 0 to 1.

    Raises:
        ValueError: One of the kinds is empty, or a score is not finite.

    Example:
        >>> auroc(np.array([0.9, 0.4]), np.array([0.4, 0.1]))
        0.875
    """
    p, n = len(positive), len(negative)
    if not p or not n or not (np.isfinite(positive).all() and np.isfinite(negative).all()):
        raise ValueError(f"AUROC of {p} and {n} scores: give finite ones of both kinds")
    dtype = np.result_type(positive, negative)  # in which equal scores are equal
    low, high = np.sort(negative.astype(dtype)), positive.astype(dtype)
    below = low.searchsorted(high, "left") + low.searchsorted(high, "right")  # twice, by ties
    return float(below.sum() / (2 * p * n))
