"""The gamma of calibrated stacking: how it is chosen on class folds, and how sure it is."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean, median

import numpy as np
import pytest
from helpers.outputs import method_output

from devise_exp.evaluation.gamma_spread import GammaSpread
from devise_exp.evaluation.metrics.best_gamma import best_gamma, regret
from devise_exp.evaluation.metrics.tradeoff import TopAnswers, tradeoff_curve
from devise_exp.methods.gamma import SHARE, FoldAnswers, choose_gamma, mean_gap, stored_gamma


def answers(gap: list[float], right: list[bool], truth: list[int]) -> TopAnswers:
    """Best answers with the gaps given."""
    zeros = np.zeros(len(gap))
    return TopAnswers(np.array(gap), zeros, np.array(right), np.array(truth))


def drawn(seed: int, n_seen: int = 6, held_out: tuple[int, ...] = (6, 7, 8)) -> FoldAnswers:
    """Many images with gaps of their own: seen ones lie higher."""
    rng = np.random.default_rng(seed)
    sides = []
    for classes, middle in ((np.arange(n_seen), 0.5), (np.array(held_out), 0.2)):
        truth = np.repeat(classes, 12)
        gap = middle + 0.1 * rng.normal(size=len(truth)) + 0.1 * rng.normal(size=9)[truth]
        right = rng.random(len(truth)) < 0.7
        sides.append(TopAnswers(gap, np.zeros(len(truth)), right, truth))
    return FoldAnswers(*sides)


def slow_h(fold: FoldAnswers, gamma: float, weights: dict[int, float]) -> float:
    """H at one gamma, image by image."""
    means = []
    for side, is_seen in ((fold.seen, True), (fold.unseen, False)):
        total = of_classes = 0.0
        for c in sorted({int(c) for c in side.truth}):
            rows = [i for i, true in enumerate(side.truth) if true == c]
            right = [side.right[i] and (side.gap[i] >= gamma) == is_seen for i in rows]
            total += weights[c] * sum(right) / len(rows)
            of_classes += weights[c]
        means.append(total / of_classes)
    return 2 * means[0] * means[1] / sum(means) if sum(means) else 0.0


@pytest.mark.parametrize("weighted", [False, True])
def test_the_curve_equals_a_slow_one_image_by_image(weighted: bool) -> None:
    fold = drawn(0)
    ids = range(9)
    weights = np.random.default_rng(1).integers(0, 3, 9) + np.array([1, *[0] * 7, 1])
    given = weights if weighted else None
    curve = tradeoff_curve(fold.seen, fold.unseen, class_weights=given)
    by_class = {c: float(weights[c]) if weighted else 1.0 for c in ids}
    for gamma in (-1.0, 0.1, 0.25, 0.3, 0.45, 2.0):
        seen, unseen = curve.at(gamma)
        both = seen + unseen
        actual = 2 * seen * unseen / both if both else 0.0
        assert actual == pytest.approx(slow_h(fold, gamma, by_class), abs=1e-12)


def test_a_class_drawn_twice_counts_like_two_classes() -> None:
    seen = answers([0.6, 0.5, 0.4], [True, True, False], [0, 0, 1])
    twice = answers([0.6, 0.5, 0.6, 0.5, 0.4], [True, True, True, True, False], [0, 0, 2, 2, 1])
    unseen = answers([0.1, 0.3], [True, True], [3, 4])
    weighted = tradeoff_curve(seen, unseen, class_weights=np.array([2, 1, 0, 1, 1]))
    plain = tradeoff_curve(twice, unseen)
    np.testing.assert_allclose(weighted.seen, plain.seen, atol=1e-12)
    np.testing.assert_allclose(weighted.unseen, plain.unseen, atol=1e-12)


def test_of_many_classes_gamma_is_the_mean_of_the_folds() -> None:
    folds = [drawn(seed) for seed in range(2)]
    of_folds = [best_gamma(fold.curve) for fold in folds]
    choice = choose_gamma(folds, 72)
    assert choice.value == float(np.mean(of_folds))
    assert choice.spread is not None
    assert choice.spread.per_fold == tuple(of_folds)


@pytest.mark.parametrize("n_seen", [12, 72])
def test_the_interval_is_that_of_curves_sorted_anew_for_each_draw(n_seen: int) -> None:
    folds = [drawn(seed) for seed in range(3)]
    rng = np.random.default_rng(0)
    chosen = []
    for _ in range(200):
        weights = np.bincount(rng.choice(9, 9), minlength=9)
        if not (weights[:6].any() and weights[6:].any()):
            continue
        curves = [tradeoff_curve(f.seen, f.unseen, class_weights=weights) for f in folds]
        gammas = [best_gamma(curve) for curve in curves]
        means = [[f.seen.gap[f.seen.truth == c].mean() for c in range(6)] for f in folds]
        gap = mean(float(np.average(of_fold, weights=weights[:6])) for of_fold in means)
        few = (median(gammas) + SHARE * gap) / 2
        chosen.append(mean(gammas) if n_seen == 72 else few)
    spread = choose_gamma(folds, n_seen).spread
    assert spread is not None
    expected = np.quantile(chosen, [0.025, 0.975])
    assert (spread.low, spread.high) == pytest.approx(tuple(expected), abs=1e-12)


def test_of_few_classes_gamma_is_half_the_median_and_half_a_share_of_the_gap() -> None:
    folds = [drawn(seed) for seed in range(5)]
    gaps = [mean(fold.seen.gap[fold.seen.truth == c].mean() for c in range(6)) for fold in folds]
    assert [mean_gap(fold.seen) for fold in folds] == pytest.approx(gaps)
    expected = (median(best_gamma(fold.curve) for fold in folds) + SHARE * mean(gaps)) / 2
    assert choose_gamma(folds, 59).value == pytest.approx(expected, abs=1e-12)


def test_one_fold_of_no_right_answers_moves_a_gamma_of_few_classes_little() -> None:
    """Its best gamma is 0, whatever the similarities; a mean would fall by a fifth."""
    wrong = answers([0.2, 0.25], [False, False], [6, 7])
    folds = [drawn(seed) for seed in range(4)]
    with_wrong = [*folds, FoldAnswers(drawn(4).seen, wrong)]
    assert best_gamma(with_wrong[-1].curve) == 0
    before, after = choose_gamma(folds, 12).value, choose_gamma(with_wrong, 12).value
    of_mean = choose_gamma(folds, 72).value, choose_gamma(with_wrong, 72).value
    few, many = abs(after - before), abs(of_mean[1] - of_mean[0])
    assert few < 0.5 * many


def test_the_scale_of_similarities_scales_gamma_and_its_interval() -> None:
    folds = [drawn(seed) for seed in range(3)]

    def smaller(side: TopAnswers) -> TopAnswers:
        return TopAnswers(side.gap / 8, 0 * side.gap, side.right, side.truth)

    scaled = [FoldAnswers(smaller(fold.seen), smaller(fold.unseen)) for fold in folds]
    one, other = choose_gamma(folds, 12), choose_gamma(scaled, 12)
    assert one.spread is not None
    assert other.spread is not None
    assert other.value == pytest.approx(one.value / 8)
    assert other.spread.low == pytest.approx(one.spread.low / 8)
    assert other.spread.high == pytest.approx(one.spread.high / 8)


def test_the_interval_is_wide_where_classes_disagree_and_repeats() -> None:
    def of_two(gap: float) -> FoldAnswers:
        """Two classes held out, one of them `gap` above the other."""
        fold = drawn(0)
        truth = np.repeat([6, 7], 12)
        values = np.random.default_rng(5).normal(0.2, 0.02, 24) + gap * (truth == 7)
        return FoldAnswers(fold.seen, TopAnswers(values, 0 * values, truth > 0, truth))

    widths = []
    for gap in (0.0, 0.2):
        spread = choose_gamma([of_two(gap)], 12).spread
        assert spread == choose_gamma([of_two(gap)], 12).spread
        assert spread is not None
        assert spread.low <= choose_gamma([of_two(gap)], 12).value <= spread.high
        widths.append(spread.high - spread.low)
    assert widths[0] < 0.7 * widths[1]


def test_the_regret_is_what_the_best_gamma_of_the_same_images_adds_by_hand() -> None:
    """Seen images at .6 and .5, unseen ones at .1 and .4, all right: .45 is best, H 1."""
    seen, unseen = (
        answers([0.6, 0.5], [True, True], [0, 1]),
        answers([0.1, 0.4], [True] * 2, [2, 3]),
    )
    curve = tradeoff_curve(seen, unseen)
    assert regret(curve, 0.45) == 0
    assert regret(curve, best_gamma(curve)) == 0
    assert regret(curve, 0.2) == pytest.approx(1 - 2 / 3)  # seen 1, unseen 1 of 2
    assert regret(curve, 0.55) == pytest.approx(1 - 2 / 3)
    assert regret(curve, 5.0) == 1


def test_a_stored_gamma_of_an_older_run_has_no_spread() -> None:
    vectors, ids = np.eye(3, dtype=np.float32), np.array([0, 1])
    output = method_output("devise", vectors, vectors[:2], ids, vectors[2:], np.array([2]))
    assert stored_gamma(output) is None
    spread = GammaSpread(per_fold=(0.1,), low=0.0, high=0.2)
    for given in (None, spread):
        choice = stored_gamma(replace(output, gamma=0.1, gamma_spread=given))
        assert choice is not None
        assert (choice.value, choice.spread) == (0.1, given)
