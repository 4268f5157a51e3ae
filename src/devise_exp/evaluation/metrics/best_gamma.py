"""The gamma of the greatest H on a curve, and what another gamma loses."""

from __future__ import annotations

import numpy as np

from devise_exp.evaluation.metrics.tradeoff import Curve


def best_gamma(curve: Curve) -> float:
    """Choose the gamma of the greatest harmonic mean H of the two class means.

    H as in Xian et al. 2018. Several gammas reach it: the middle of their widest stretch does not
    depend on one image.

    Args:
        curve: The trade-off.

    Returns:
        The gamma, 0 if no gamma makes H positive.
    """
    harmonic = harmonic_means(curve)
    if not harmonic.max() > 0:
        return 0.0
    # At both ends one of the class means, and so H, is 0: a best stretch has two finite ends.
    best = harmonic >= harmonic.max() - 1e-12
    edges = np.flatnonzero(np.diff(best.astype(np.int64)))  # pairs: before and at the last stretch
    lows, highs = curve.critical[edges[::2]], curve.critical[edges[1::2]]
    widest = int(np.argmax(highs - lows))
    return float((lows[widest] + highs[widest]) / 2)


def harmonic_means(curve: Curve) -> np.ndarray:
    """Compute H of the two class means on every stretch of the curve.

    Args:
        curve: The trade-off.

    Returns:
        (F + 1,) harmonic means, 0 where both class means are.
    """
    both = curve.seen + curve.unseen
    return np.asarray(2 * curve.seen * curve.unseen / np.where(both > 0, both, 1))


def regret(curve: Curve, gamma: float) -> float:
    """Compute what a gamma loses on the images of the curve, in hindsight.

    It needs the answers to test images of unseen classes, so nothing may be chosen by it.

    Args:
        curve: The trade-off on the test images.
        gamma: The gamma that was chosen elsewhere.

    Returns:
        The greatest H of the curve less H at gamma.
    """
    harmonic = harmonic_means(curve)
    return float(harmonic.max() - harmonic[int(np.searchsorted(curve.critical, gamma))])
