"""How sure the gamma of calibrated stacking is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GammaSpread:
    """How far the class folds that chose a gamma disagree.

    Attributes:
        per_fold: The best gamma of each class fold.
        low: Lower bound of the 95 % interval of gamma, a bootstrap over the classes of the folds.
        high: Upper bound of that interval.
    """

    per_fold: tuple[float, ...]
    low: float
    high: float
