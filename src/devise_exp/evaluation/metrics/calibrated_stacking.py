"""The trade between seen and unseen classes when images are ranked among all labels.

A model trained on the seen classes favours their labels. Calibrated stacking (Chao et al. 2016)
lowers the similarity of every seen label by one gamma; from the least to the greatest gamma the
answers go from seen labels only to unseen ones only, and the class means of hit@1 along the way are
the curve here. N is the number of images, F that of the critical gammas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import check_k

SearchResult = tuple[
    np.ndarray, np.ndarray
]  # ids (N, k) and similarities (N, k) of a search, best first


@dataclass(frozen=True, eq=False)
class TopAnswers:
    """The best answers to images of one side, which are all of seen or all of unseen classes.

    seen_score, unseen_score: (N,) similarity of the best seen and of the best unseen label.
    right: (N,) bool, whether the best label of the images' own side is the true one. truth: (N,)
    class ids.
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
    """Class means of hit@1 among all labels as the gamma rises.

    critical: (F,) gammas, rising, past which an image changes from a seen to an unseen label; seen
    and unseen: (F + 1,) class means on the stretches between them. Stretch j holds the gammas f
    with critical[j - 1] < f <= critical[j].
    """

    critical: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray

    def at(self, gamma: float) -> tuple[float, float]:
        """Class means (seen, unseen) when seen similarities are lowered by `gamma`."""
        j = int(np.searchsorted(self.critical, gamma))
        return float(self.seen[j]), float(self.unseen[j])


def top_answers(
    found_seen: SearchResult, found_unseen: SearchResult, truth: np.ndarray
) -> TopAnswers:
    """The best answers of two searches of the same images, among seen and among unseen labels.

    truth: (N,) class ids, all of seen or all of unseen classes.
    """
    (seen_ids, seen_score), (unseen_ids, unseen_score) = found_seen, found_unseen
    right = (seen_ids[:, 0] == truth) | (unseen_ids[:, 0] == truth)
    return TopAnswers(seen_score[:, 0], unseen_score[:, 0], right, truth)


def tradeoff_curve(seen: TopAnswers, unseen: TopAnswers) -> Curve:
    """The curve over every critical gamma (Chao et al. 2016), exactly.

    seen, unseen: the best answers to images of seen and of unseen classes. One sort of the images:
    O(N log N). An image is given its best seen label where that similarity, lowered, is at least
    that of its best unseen label.
    """
    critical = np.unique(np.concatenate([seen.gap, unseen.gap]))
    # (F,) what leaves the seen figure, and what comes to the unseen one, past each critical gamma.
    lost, won = _weight_at(seen, critical), _weight_at(unseen, critical)
    # Summed from the end that must be 0, so that it is, and cut where rounding went past 1.
    kept = np.concatenate([lost[::-1].cumsum()[::-1], [0.0]])
    gained = np.concatenate([[0.0], won.cumsum()])
    return Curve(critical, np.minimum(kept, 1), np.minimum(gained, 1))


def ausuc(curve: Curve) -> float:
    """AUSUC, the area under the curve of seen over unseen class means (Chao et al. 2016), by the
    trapezoid rule; from 0 to 1.
    """
    steps = np.diff(curve.unseen)
    return float((steps * (curve.seen[1:] + curve.seen[:-1])).sum() / 2)


def best_gamma(curve: Curve) -> float:
    """The gamma of the greatest harmonic mean H of the two class means (Xian et al. 2018).

    The middle of the stretch of gammas that reach it, the widest where there are several, so that
    the choice does not hang on one image. 0 where no gamma makes H positive.
    """
    both = curve.seen + curve.unseen
    harmonic = 2 * curve.seen * curve.unseen / np.where(both > 0, both, 1)
    if not harmonic.max() > 0:
        return 0.0
    # At both ends one of the class means, and so H, is 0: a best stretch has two finite ends.
    best = harmonic >= harmonic.max() - 1e-12
    edges = np.flatnonzero(np.diff(best.astype(np.int64)))  # pairs: before and at the last stretch
    lows, highs = curve.critical[edges[::2]], curve.critical[edges[1::2]]
    widest = int(np.argmax(highs - lows))
    return float((lows[widest] + highs[widest]) / 2)


def points(curve: Curve, most: int = 200) -> np.ndarray:
    """(P, 2) class means (seen, unseen) along the curve, for drawing: each once, both ends among
    them, and evenly thinned out to at most `most`.
    """
    means = np.stack([curve.seen, curve.unseen], axis=1)  # (F + 1, 2)
    moves = np.concatenate([[True], (means[1:] != means[:-1]).any(axis=1)])
    kept = means[moves]
    return np.asarray(kept[np.unique(np.linspace(0, len(kept) - 1, most).round().astype(int))])


def calibrate_results(
    found_seen: SearchResult, found_unseen: SearchResult, gamma: float, k: int
) -> np.ndarray:
    """Ids (N, k), best first, among all labels when seen similarities are lowered by `gamma`.

    Merges the two searches, each of k labels or of all of its side. At the same similarity seen
    labels come first, and the labels of a side stay in their order. InputError for k above the
    number of labels found.
    """
    (seen_ids, seen_score), (unseen_ids, unseen_score) = found_seen, found_unseen
    if len(seen_ids) != len(unseen_ids) or not np.isfinite(gamma):
        raise InputError(
            f"{len(seen_ids)} and {len(unseen_ids)} images, gamma {gamma}: search both sides "
            "with the same images, and give a finite gamma"
        )
    ids = np.concatenate([seen_ids, unseen_ids], axis=1)
    check_k(k, ids.shape[1])
    lowered = seen_score.astype(np.float64) - gamma
    order = np.argsort(-np.concatenate([lowered, unseen_score], axis=1), axis=1, kind="stable")
    return np.take_along_axis(ids, order[:, :k], axis=1)


def _weight_at(side: TopAnswers, critical: np.ndarray) -> np.ndarray:
    """(F,) the share of the class mean that the right images with each critical gamma make up."""
    _, position, counts = np.unique(side.truth, return_inverse=True, return_counts=True)
    weight = side.right / (counts[position] * len(counts))  # (N,)
    at = np.searchsorted(critical, side.gap)
    return np.bincount(at, weights=weight, minlength=len(critical))
