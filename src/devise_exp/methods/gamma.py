"""Choose the gamma of calibrated stacking on class folds, and say how sure it is.

Of many seen classes gamma is the mean of the best gammas of the folds. Of few, a fold holds out two
to ten classes and its best gamma depends on which. There gamma is half the median of the folds',
half a default: SHARE of the mean gap of seen images, which is how far an image's best seen label
lies above its best unseen label. A gap carries the scale of the method's similarities, so SHARE is
the same for all methods: the midpoint between seen images (1) and images of unseen classes, whose
mean gap is 0.1 to 0.5 of it. Both halves are about equally uncertain, 0.13 of the mean gap
(experiments/calibration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from devise_exp.data.class_folds import FEW_CLASSES
from devise_exp.evaluation.gamma_spread import GammaSpread
from devise_exp.evaluation.metrics.calibrated_stacking import (
    Curve,
    TopAnswers,
    best_gamma,
    tradeoff_curve,
)
from devise_exp.evaluation.protocols import MethodOutput

SHARE = 0.6
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class FoldAnswers:
    """The best answers of a method that was fitted to a class fold.

    Attributes:
        seen: To validation images of the classes left.
        unseen: To images of the classes held out.
    """

    seen: TopAnswers
    unseen: TopAnswers

    @cached_property
    def curve(self) -> Curve:
        """The trade-off of seen against held-out classes, by class means of hit@1."""
        return tradeoff_curve(self.seen, self.unseen)


@dataclass(frozen=True, kw_only=True)
class GammaChoice:
    """A gamma, and what it rests on.

    Attributes:
        value: Number to subtract from the similarity of seen labels.
        spread: How far the folds disagree; None if that is unknown (in older runs).
    """

    value: float
    spread: GammaSpread | None


def stored_gamma(output: MethodOutput) -> GammaChoice | None:
    """Take the gamma of a stored output.

    Args:
        output: Of a finished run.

    Returns:
        Its gamma, None if none was chosen.
    """
    if output.gamma is None:
        return None
    return GammaChoice(value=output.gamma, spread=output.gamma_spread)


def choose_gamma(folds: Sequence[FoldAnswers], n_seen: int) -> GammaChoice:
    """Choose gamma on class folds.

    Args:
        folds: The answers of each fold, one at least.
        n_seen: The number of seen classes of the whole task.

    Returns:
        Gamma, the best gammas of the folds, and the 95 % interval of a bootstrap that draws the
        classes of the folds anew (a class has one weight in all folds) and chooses again.
    """
    value = _combine([_best(fold) for fold in folds], n_seen)
    rng = np.random.default_rng(0)
    n_classes = 1 + max(int(side.truth.max()) for f in folds for side in (f.seen, f.unseen))
    ids = np.unique(np.concatenate([side.truth for f in folds for side in (f.seen, f.unseen)]))
    drawn = []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.choice(ids, len(ids)), minlength=n_classes)
        best = [_best(f, weights) for f in folds if _has_both(f, weights)]
        if best:
            drawn.append(_combine(best, n_seen))
    low, high = np.quantile(drawn or [value], [0.025, 0.975])
    per_fold = tuple(best_gamma(fold.curve) for fold in folds)
    spread = GammaSpread(per_fold=per_fold, low=float(low), high=float(high))
    return GammaChoice(value=value, spread=spread)


def mean_gap(side: TopAnswers, class_weights: np.ndarray | None = None) -> float:
    """Average the gap of images, each class alike.

    Args:
        side: Best answers of the images.
        class_weights: Weight of each class by id, None for 1.

    Returns:
        The mean over classes of the mean over their images.
    """
    classes, position, counts = np.unique(side.truth, return_inverse=True, return_counts=True)
    means = np.bincount(position, weights=side.gap) / counts
    weights = None if class_weights is None else class_weights[classes]
    return float(np.average(means, weights=weights))


def _best(fold: FoldAnswers, class_weights: np.ndarray | None = None) -> tuple[float, float]:
    """The best gamma of a fold, and the mean gap of its seen images."""
    if class_weights is None:
        curve = fold.curve
    else:
        curve = tradeoff_curve(fold.seen, fold.unseen, class_weights=class_weights)
    return best_gamma(curve), mean_gap(fold.seen, class_weights)


def _combine(of_folds: Sequence[tuple[float, float]], n_seen: int) -> float:
    """Gamma from the best gammas and the mean gaps of the folds."""
    gammas, gaps = np.array(of_folds).T
    if n_seen >= FEW_CLASSES:
        return float(np.mean(gammas))
    return float((np.median(gammas) + SHARE * np.mean(gaps)) / 2)


def _has_both(fold: FoldAnswers, class_weights: np.ndarray) -> bool:
    """Whether a fold has a class of either side among those drawn."""
    return all(class_weights[side.truth].any() for side in (fold.seen, fold.unseen))
