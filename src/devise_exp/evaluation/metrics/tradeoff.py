"""The curve of seen over unseen classes as gamma of calibrated stacking rises.

From the least to the greatest gamma the answers among all labels go from seen labels only to unseen
labels only (Chao et al. 2016); the class means of hit@1 along the way are the curve. N is the
number of images, F that of the critical gammas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult

MAX_POINTS = 200


@dataclass(frozen=True, eq=False)
class TopAnswers:
    """The best answers to images of one side, which are all of seen or all of unseen classes.

    Attributes:
        seen_score: (N,) similarity of the best seen label.
        unseen_score: (N,) similarity of the best unseen label.
        right: (N,) bool, whether the best label of the images' side is the true one.
        truth: (N,) class ids.
    """

    seen_score: np.ndarray
    unseen_score: np.ndarray
    right: np.ndarray
    truth: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(self.seen_score), len(self.unseen_score), len(self.right), len(self.truth)}
        if len(lengths) > 1 or lengths == {0}:
            raise ValueError(f"best answers of {sorted(lengths)} images: give as many of each")
        if self.right.dtype != np.bool_ or not np.isfinite(self.gap).all():
            raise ValueError("best answers need finite similarities, and `right` as bool")

    @property
    def gap(self) -> np.ndarray:
        """(N,) the greatest gamma at which the image is still given a seen label."""
        return np.asarray(self.seen_score.astype(np.float64) - self.unseen_score)


@dataclass(frozen=True, eq=False)
class Curve:
    """Class means of hit@1 among all labels as gamma rises.

    Stretch j holds the gammas g with critical[j - 1] < g <= critical[j].

    Attributes:
        critical: (F,) rising gammas past which an image changes from a seen to an unseen label.
        seen: (F + 1,) class means of seen images on the stretches between them.
        unseen: (F + 1,) class means of unseen images there.
    """

    critical: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    def at(self, gamma: float) -> tuple[float, float]:
        """Look up the class means at one gamma.

        Args:
            gamma: Number subtracted from the similarity of seen labels.

        Returns:
            The seen and the unseen class mean.
        """
        j = int(np.searchsorted(self.critical, gamma))
        return float(self.seen[j]), float(self.unseen[j])


def top_answers(
    among_seen: SearchResult, among_unseen: SearchResult, truth: np.ndarray
) -> TopAnswers:
    """Take the best answers of two searches of the same images.

    Args:
        among_seen: Search among the seen labels.
        among_unseen: Search among the unseen labels.
        truth: (N,) class ids, all of seen or all of unseen classes.

    Returns:
        The best answer of each search.
    """
    (seen_ids, seen_score), (unseen_ids, unseen_score) = among_seen, among_unseen
    right = (seen_ids[:, 0] == truth) | (unseen_ids[:, 0] == truth)
    return TopAnswers(seen_score[:, 0], unseen_score[:, 0], right, truth)


class Tradeoff:
    """The images of a curve, sorted once; it gives the curve for any weights of the classes.

    Args:
        seen: Best answers to images of seen classes.
        unseen: Best answers to images of unseen classes.
    """

    def __init__(self, seen: TopAnswers, unseen: TopAnswers) -> None:
        self._critical = np.unique(np.concatenate([seen.gap, unseen.gap]))
        self._seen, self._unseen = (_side(side, self._critical) for side in (seen, unseen))

    def has_both(self, class_weights: np.ndarray) -> bool:
        """Tell whether a class of either side counts.

        Args:
            class_weights: (C,) weight of each class by id.

        Returns:
            Whether `curve` allows these weights.
        """
        return all(class_weights[side.classes].any() for side in (self._seen, self._unseen))

    def curve(self, class_weights: np.ndarray | None = None) -> Curve:
        """Compute the curve.

        Args:
            class_weights: (C,) weight of each class by id in the class means, None for 1; a class
                of either side has one above 0.

        Returns:
            The curve.
        """
        # (F,) what leaves the seen mean, and what comes to the unseen one, past critical gammas.
        n = len(self._critical)
        lost, won = (_weight_at(side, n, class_weights) for side in (self._seen, self._unseen))
        # Summed from the end that must be 0, so that it is, and cut where rounding went past 1.
        kept = np.concatenate([lost[::-1].cumsum()[::-1], [0.0]])
        gained = np.concatenate([[0.0], won.cumsum()])
        return Curve(self._critical, np.minimum(kept, 1), np.minimum(gained, 1))


def tradeoff_curve(
    seen: TopAnswers, unseen: TopAnswers, *, class_weights: np.ndarray | None = None
) -> Curve:
    """Compute the curve exactly, over every critical gamma (Chao et al. 2016).

    An image is given its best seen label if that similarity less gamma is at least that of its best
    unseen label. One sort of the images: O(N log N).

    Args:
        seen: Best answers to images of seen classes.
        unseen: Best answers to images of unseen classes.
        class_weights: As for `Tradeoff.curve`.

    Returns:
        The curve.
    """
    return Tradeoff(seen, unseen).curve(class_weights)


def ausuc(curve: Curve) -> float:
    """Compute AUSUC, the area under the curve of seen over unseen class means.

    Chao et al. 2016; by the trapezoid rule.

    Args:
        curve: The trade-off.

    Returns:
        Area from 0 to 1.
    """
    steps = np.diff(curve.unseen)
    return float((steps * (curve.seen[1:] + curve.seen[:-1])).sum() / 2)


def points(curve: Curve) -> np.ndarray:
    """Take at most MAX_POINTS points of the curve to draw, evenly thinned out.

    Args:
        curve: The trade-off.

    Returns:
        (P, 2) seen and unseen class means, each pair once, both ends among them.
    """
    means = np.stack([curve.seen, curve.unseen], axis=1)  # (F + 1, 2)
    moves = np.concatenate([[True], (means[1:] != means[:-1]).any(axis=1)])
    kept = means[moves]
    return np.asarray(
        kept[np.unique(np.linspace(0, len(kept) - 1, MAX_POINTS).round().astype(int))]
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """The images of one side whose answers are right, as only these move its class mean.

    Attributes:
        classes: Ids of all classes of the side.
        at: Positions of their gaps among the critical gammas.
        share: What each adds to the class mean.
        position: Position of the class of each among `classes`.
    """

    classes: np.ndarray
    at: np.ndarray
    share: np.ndarray
    position: np.ndarray


def _side(side: TopAnswers, critical: np.ndarray) -> _Side:
    classes, position, counts = np.unique(side.truth, return_inverse=True, return_counts=True)
    position, at = position[side.right], np.searchsorted(critical, side.gap[side.right])
    return _Side(classes, at, 1.0 / (counts[position] * len(counts)), position)


def _weight_at(side: _Side, n: int, class_weights: np.ndarray | None) -> np.ndarray:
    """(F,) the share of the class mean that the right images with each critical gamma make up."""
    share = side.share
    if class_weights is not None:
        weights = class_weights[side.classes]
        share = share * (weights * len(weights) / weights.sum())[side.position]
    return np.bincount(side.at, weights=share, minlength=n)
