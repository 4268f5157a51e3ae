"""Intervals of samples that do not vary, against scipy, brute force and simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from devise_exp.evaluation.metrics.intervals import class_interval, interval, mean_interval


@pytest.mark.parametrize("n", [1, 5, 40, 1000])
def test_images_all_right_or_all_wrong_have_the_exact_interval_of_scipy(n: int) -> None:
    for share in (0, 1):
        exact = stats.binomtest(share * n, n).proportion_ci(0.95, method="exact")
        assert interval(np.full(n, bool(share))) == pytest.approx((exact.low, exact.high))
        # Classes of the same size: the same, as each image counts alike.
        classes = np.repeat(np.arange(n), 3)
        exact = stats.binomtest(share * 3 * n, 3 * n).proportion_ci(0.95, method="exact")
        bounds = interval(np.full(3 * n, bool(share)), classes)
        assert bounds == pytest.approx((exact.low, exact.high))


def test_no_other_shares_of_errors_are_larger_and_as_likely() -> None:
    counts, rng = np.array([2, 3, 10, 50, 200]), np.random.default_rng(0)
    low, high = interval(np.ones(counts.sum(), dtype=bool), np.repeat(np.arange(5), counts))
    assert high == 1
    best = 0.0
    for _ in range(20_000):  # of errors under which none is seen with a chance of 0.025
        parts = rng.dirichlet(np.full(5, 0.5)) * np.log(0.025)
        best = max(best, float((1 - np.exp(parts / counts)).mean()))
    assert best <= 1 - low + 1e-12
    assert best == pytest.approx(1 - low, abs=0.01)


def test_by_hand_two_classes_of_one_image_each_may_be_anything_but_both_sure() -> None:
    # (1 - p)(1 - q) = 0.025 with p = q: p = 1 - 0.158.
    bounds = interval(np.array([False, False]), np.array([4, 9]))
    assert bounds == pytest.approx((0, 0.8419), abs=1e-4)


def test_classes_all_right_beside_classes_all_wrong_have_a_width() -> None:
    hits = np.repeat([True, False], [40, 20])
    low, high = interval(hits, np.repeat([0, 1], [40, 20]))
    assert low == pytest.approx(0.5 - stats.binomtest(0, 40).proportion_ci().high / 2)
    assert high == pytest.approx(0.5 + stats.binomtest(0, 20).proportion_ci().high / 2)


def test_classes_of_one_image_are_drawn_as_images() -> None:
    hits = np.random.default_rng(0).random(50) < 0.7
    assert interval(hits, np.arange(50)) == interval(hits)
    assert np.ptp(interval(hits)) > 0.1


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_equal_classes_bound_what_other_classes_would_be(value: float) -> None:
    n, likely = 12, 0.025 ** (1 / 12)
    low, high = mean_interval(np.full(n, value))
    assert (low, high) == pytest.approx((likely * value, likely * value + 1 - likely))
    hits = np.tile(np.arange(4) < 4 * value, n)
    assert class_interval(hits, np.repeat(np.arange(n), 4)) == (low, high)


def test_samples_without_spread_seldom_mislead() -> None:
    rng, p, missed = np.random.default_rng(1), 0.05, 0
    for _ in range(2000):
        values = (rng.random(20) < p).astype(float)
        low, high = mean_interval(values, resamples=100) if not values.any() else (0.0, 1.0)
        missed += not low <= p <= high
    assert missed == 0  # none of 20 has a chance of 0.36, far from 0.025


def test_an_interval_of_images_with_spread_is_the_bootstrap_as_ever() -> None:
    hits = np.arange(40) < 31
    drawn = np.random.default_rng(0).binomial([40], [31 / 40], size=(2000, 1)) / 40
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    assert interval(hits) == (low, high)
