"""The trade between seen and unseen classes when images are ranked among all labels.

A model trained on the seen classes favours their labels. Calibrated stacking (Chao et al. 2016)
subtracts one number, gamma, from the similarity of every seen label. From the least to the greatest
gamma the answers go from seen labels only to unseen labels only; the class means of hit@1 along the
way are the curve. N is the number of images, F that of the critical gammas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.index.unit_rows import check_k

MAX_POINTS = 200
# Ids (N, k) and similarities (N, k) of a search, best first.
SearchResult = tuple[np.ndarray, np.ndarray]


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


def tradeoff_curve(
    seen: TopAnswers, unseen: TopAnswers, *, class_weights: np.ndarray | None = None
) -> Curve:
    """Compute the curve exactly, over every critical gamma (Chao et al. 2016).

    An image is given its best seen label if that similarity less gamma is at least that of its best
    unseen label. One sort of the images: O(N log N).

    Args:
        seen: Best answers to images of seen classes.
        unseen: Best answers to images of unseen classes.
        class_weights: (C,) weight of each class by id in the class means, None for 1; a class of
            either side has one above 0.

    Returns:
        The curve.
    """
    critical = np.unique(np.concatenate([seen.gap, unseen.gap]))
    # (F,) what leaves the seen mean, and what comes to the unseen one, past each critical gamma.
    lost, won = (_weight_at(side, critical, class_weights) for side in (seen, unseen))
    # Summed from the end that must be 0, so that it is, and cut where rounding went past 1.
    kept = np.concatenate([lost[::-1].cumsum()[::-1], [0.0]])
    gained = np.concatenate([[0.0], won.cumsum()])
    return Curve(critical, np.minimum(kept, 1), np.minimum(gained, 1))


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


def _weight_at(
    side: TopAnswers, critical: np.ndarray, class_weights: np.ndarray | None
) -> np.ndarray:
    """(F,) the share of the class mean that the right images with each critical gamma make up."""
    classes, position, counts = np.unique(side.truth, return_inverse=True, return_counts=True)
    weight = side.right / (counts[position] * len(counts))  # (N,)
    if class_weights is not None:
        weights = class_weights[classes]
        weight *= (weights * len(weights) / weights.sum())[position]
    at = np.searchsorted(critical, side.gap)
    return np.bincount(at, weights=weight, minlength=len(critical))
