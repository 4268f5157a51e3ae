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
from devise_exp.evaluation.metrics.best_gamma import best_gamma
from devise_exp.evaluation.metrics.tradeoff import Curve, TopAnswers, Tradeoff
from devise_exp.evaluation.protocols import MethodOutput

SHARE = 0.6
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class ClassGaps:
    """The mean gaps of classes.

    Attributes:
        classes: (C,) their ids.
        means: (C,) the mean gap of the images of each.
    """

    classes: np.ndarray
    means: np.ndarray

    def mean(self, class_weights: np.ndarray | None = None) -> float:
        """Average over classes.

        Args:
            class_weights: Weight of each class by id, None for 1.

        Returns:
            The weighted mean.
        """
        weights = None if class_weights is None else class_weights[self.classes]
        return float(np.average(self.means, weights=weights))


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
    def tradeoff(self) -> Tradeoff:
        """The trade-off of seen against held-out classes, for any weights of them."""
        return Tradeoff(self.seen, self.unseen)

    @cached_property
    def curve(self) -> Curve:
        """The curve of all classes alike, by class means of hit@1."""
        return self.tradeoff.curve()

    @cached_property
    def seen_gaps(self) -> ClassGaps:
        """The mean gap of each seen class."""
        return class_gaps(self.seen)


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
    of_sides = [np.unique(side.truth) for f in folds for side in (f.seen, f.unseen)]
    ids = np.unique(np.concatenate(of_sides))
    drawn = []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.choice(ids, len(ids)), minlength=int(ids[-1]) + 1)
        best = [_best(f, weights) for f in folds if f.tradeoff.has_both(weights)]
        if best:
            drawn.append(_combine(best, n_seen))
    low, high = np.quantile(drawn or [value], [0.025, 0.975])
    per_fold = tuple(best_gamma(fold.curve) for fold in folds)
    spread = GammaSpread(per_fold=per_fold, low=float(low), high=float(high))
    return GammaChoice(value=value, spread=spread)


def class_gaps(side: TopAnswers) -> ClassGaps:
    """Average the gap of images by class.

    Args:
        side: Best answers of the images.

    Returns:
        The mean over the images of each class.
    """
    classes, position, counts = np.unique(side.truth, return_inverse=True, return_counts=True)
    return ClassGaps(classes, np.bincount(position, weights=side.gap) / counts)


def mean_gap(side: TopAnswers) -> float:
    """Average the gap of images, each class alike.

    Args:
        side: Best answers of the images.

    Returns:
        The mean over classes of the mean over their images.
    """
    return class_gaps(side).mean()


def _best(fold: FoldAnswers, class_weights: np.ndarray | None = None) -> tuple[float, float]:
    """The best gamma of a fold, and the mean gap of its seen images."""
    curve = fold.curve if class_weights is None else fold.tradeoff.curve(class_weights)
    return best_gamma(curve), fold.seen_gaps.mean(class_weights)


def _combine(of_folds: Sequence[tuple[float, float]], n_seen: int) -> float:
    """Gamma from the best gammas and the mean gaps of the folds."""
    gammas, gaps = np.array(of_folds).T
    if n_seen >= FEW_CLASSES:
        return float(np.mean(gammas))
    return float((np.median(gammas) + SHARE * np.mean(gaps)) / 2)
