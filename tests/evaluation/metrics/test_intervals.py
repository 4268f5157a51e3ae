"""Intervals and paired tests against slow resampling, scipy and simulations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from helpers.outputs import method_output
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from devise_exp.core.errors import InputError
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.metrics import intervals
from devise_exp.evaluation.metrics.hits import class_mean, per_class
from devise_exp.evaluation.metrics.intervals import (
    DRAWS_AT_ONCE,
    class_interval,
    mean_interval,
    paired_seeds,
    paired_test,
    seed_interval,
)
from devise_exp.evaluation.protocols import MethodOutput, standard_protocols
from devise_exp.index.exact import ExactIndex

hits_and_classes = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=60)


def coverage(n: int, p: float, simulations: int = 300) -> float:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(simulations):
        lo, hi = intervals.interval(rng.random(n) < p, resamples=500)
        inside += lo <= p <= hi
    return inside / simulations


@pytest.mark.parametrize(("n", "p"), [(400, 0.5), (400, 0.2), (1600, 0.05)])
def test_a_95_per_cent_interval_covers_the_truth_as_often(n: int, p: float) -> None:
    assert 0.90 <= coverage(n, p) <= 0.98


def test_the_stratified_interval_covers_the_class_mean() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(10), [20, 30, 40, 50, 60, 20, 30, 40, 50, 200])
    shares = np.linspace(0.1, 0.8, 10)
    inside = 0
    for _ in range(300):
        hits = rng.random(len(truth)) < shares[truth]
        lo, hi = intervals.interval(hits, truth, resamples=500)
        inside += lo <= shares.mean() <= hi
    assert 0.90 <= inside / 300 <= 0.98


@pytest.mark.parametrize("stratified", [False, True])
def test_the_interval_equals_a_bootstrap_that_draws_images(stratified: bool) -> None:
    rng = np.random.default_rng(1)
    truth = rng.choice([3, 5, 9, 11], size=150, p=[0.5, 0.3, 0.15, 0.05])
    hits = rng.random(150) < np.where(truth == 3, 0.9, 0.3)
    groups = [np.flatnonzero(truth == name) for name in (3, 5, 9, 11)]
    if not stratified:
        groups = [np.arange(150)]
    means = []
    for _ in range(4000):
        drawn = [hits[rng.choice(rows, size=len(rows))].mean() for rows in groups]
        means.append(sum(drawn) / len(drawn))
    slow = np.percentile(means, [2.5, 97.5])
    fast = intervals.interval(hits, truth if stratified else None, resamples=20_000)
    np.testing.assert_allclose(fast, slow, atol=0.01)
    # The two intervals are not each other's: the small class weighs a quarter in the class mean.
    other = intervals.interval(hits, None if stratified else truth, resamples=20_000)
    assert np.abs(np.subtract(other, slow)).max() > 0.03


@given(hits_and_classes, st.booleans(), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_an_interval_is_repeatable_and_ordered(
    pairs: list[tuple[bool, int]], stratified: bool, seed: int
) -> None:
    hits, truth = (np.array(column) for column in zip(*pairs, strict=True))
    classes = truth if stratified else None
    lo, hi = intervals.interval(hits, classes)
    assert (lo, hi) == intervals.interval(hits, classes)
    assert 0 <= lo <= hi <= 1
    order = np.random.default_rng(seed).permutation(len(hits))
    shuffled = intervals.interval(hits[order], truth[order] if stratified else None)
    assert shuffled == (lo, hi)


def test_more_images_narrow_the_interval() -> None:
    hits = np.array([True, False, False, False])
    widths = [np.ptp(intervals.interval(np.tile(hits, n))) for n in (5, 50, 500)]
    assert widths[0] > 2.5 * widths[1] > 6 * widths[2] > 0  # by about the root of ten


def test_a_95_per_cent_interval_of_a_mean_covers_it_as_often() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        lo, hi = mean_interval(rng.beta(1, 3, size=100), resamples=500)
        inside += lo <= 0.25 <= hi
    assert 0.90 <= inside / 300 <= 0.98


@pytest.mark.parametrize("n", [7, 80, 3000])  # of 3000 the draws do not fit into one block
def test_the_interval_of_a_mean_equals_a_bootstrap_that_draws_queries(n: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.beta(0.5, 2, size=n)
    slow = np.percentile([rng.choice(values, size=n).mean() for _ in range(2000)], [2.5, 97.5])
    fast = mean_interval(values)
    np.testing.assert_allclose(fast, slow, atol=0.25 * np.ptp(slow) / 2)
    assert fast[0] < values.mean() < fast[1]


def test_drawing_in_blocks_makes_no_difference() -> None:
    values, rng = np.sort(np.random.default_rng(2).random(3000)), np.random.default_rng(0)
    assert DRAWS_AT_ONCE < 2000 * 3000
    means = np.array([values[rng.integers(3000, size=3000)].mean() for _ in range(2000)])
    at_once = np.quantile(means, [0.025, 0.975])
    assert mean_interval(values) == pytest.approx(at_once, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 5))
def test_an_interval_of_a_mean_is_repeatable_and_ordered(values: list[float], seed: int) -> None:
    given_ = np.array(values)
    lo, hi = mean_interval(given_)
    shuffled = np.random.default_rng(seed).permutation(given_)
    assert mean_interval(shuffled) == (lo, hi)
    assert 0 <= lo <= hi <= 1
    if np.ptp(given_):
        assert given_.min() - 1e-12 <= lo <= hi <= given_.max() + 1e-12
    else:
        assert lo <= given_[0] <= hi


def test_an_interval_without_a_resample_is_an_error() -> None:
    for interval in (intervals.interval, mean_interval):
        with pytest.raises(InputError, match="resamples is 0"):
            interval(np.array([True, False]), resamples=0)


# Classes chosen


def test_the_interval_over_classes_equals_a_bootstrap_that_draws_classes() -> None:
    rng = np.random.default_rng(3)
    truth = rng.choice(12, size=400, p=np.arange(1, 13) / 78)
    hits = rng.random(400) < rng.random(12)[truth]
    shares = {c: hits[truth == c].mean() for c in np.unique(truth).tolist()}
    means = [
        np.mean([shares[c] for c in rng.choice(list(shares), size=len(shares))])
        for _ in range(3000)
    ]
    result = class_interval(hits, truth)
    np.testing.assert_allclose(result, np.percentile(means, [2.5, 97.5]), atol=0.015)
    # Classes differ more than the images of one class do, so this is the wider interval.
    assert np.ptp(result) > 1.5 * np.ptp(intervals.interval(hits, truth))


def test_a_95_per_cent_interval_over_classes_covers_the_mean_of_all_classes() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    truth = np.repeat(np.arange(40), 15)
    for _ in range(300):
        hits = rng.random(600) < rng.beta(1, 2, size=40)[truth]  # classes of mean share 1/3
        lo, hi = class_interval(hits, truth, resamples=500)
        inside += lo <= 1 / 3 <= hi
    assert 0.90 <= inside / 300 <= 0.98


def test_a_single_class_says_nothing_of_others() -> None:
    hits = np.array([True, False, False, True, False])
    assert class_interval(hits, np.zeros(5, dtype=int)) == pytest.approx((0.01, 0.985))


# Seeds


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=8))
def test_seeds_equal_scipy(milli: list[int]) -> None:
    values = np.array(milli) / 1000
    mean, sd, lo, hi = seed_interval(values)
    assert (mean, sd) == pytest.approx((values.mean(), np.std(values, ddof=1)))
    if sd > 1e-9:
        theirs = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=stats.sem(values))
        assert (lo, hi) == pytest.approx(theirs)
    others = np.roll(values, 1) ** 2
    difference, lo, hi, p = paired_seeds(values, others)
    assert difference == pytest.approx((values - others).mean())
    if np.std(values - others) > 1e-9:
        theirs = stats.ttest_rel(values, others)
        assert p == pytest.approx(theirs.pvalue)
        bounds = theirs.confidence_interval(0.95)
        assert (lo, hi) == pytest.approx((bounds.low, bounds.high))


def test_seeds_of_a_worked_case() -> None:
    # sd of 30, 31, 33 is 1.5275; t of 0.975 with 2 degrees of freedom is 4.3027.
    result = seed_interval(np.array([0.30, 0.31, 0.33]))
    half = 4.3027 * 0.015275 / 3**0.5
    expected = (0.31333, 0.015275, 0.31333 - half, 0.31333 + half)
    assert result == pytest.approx(expected, abs=1e-5)


def test_pairing_by_seed_sees_what_the_spread_of_seeds_hides() -> None:
    a = np.array([0.28, 0.31, 0.35, 0.30])
    b = a - np.array([0.010, 0.012, 0.011, 0.009])
    difference, lo, hi, p = paired_seeds(a, b)
    assert 0 < lo < difference < hi
    assert p < 0.001
    assert stats.ttest_ind(a, b).pvalue > 0.5


def test_differences_that_do_not_vary() -> None:
    a = np.array([0.1, 0.2, 0.4])
    assert paired_seeds(a, a) == (0, 0, 0, 1)
    assert paired_seeds(a, a - 0.1)[3] == 0


# Two methods on the same images


def exact_p(a: np.ndarray, b: np.ndarray, truth: np.ndarray) -> float:
    """Two-sided sign-flip p of the difference of class means, over all 2^N flips."""
    weight = np.array([1 / (truth == c).sum() for c in truth]) / len(np.unique(truth))
    signed = (a.astype(int) - b.astype(int)) * weight
    observed = abs(signed.sum())
    flips = np.array(list(product([-1, 1], repeat=len(a))))  # (2^N, N)
    return float((np.abs(flips @ signed) >= observed - 1e-12).mean())


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(5, 7)), min_size=1, max_size=10),
    st.booleans(),
)
def test_the_paired_test_equals_all_sign_flips(
    images: list[tuple[bool, bool, int]], stratified: bool
) -> None:
    a, b, truth = (np.array(column) for column in zip(*images, strict=True))
    classes = truth if stratified else np.zeros_like(truth)
    difference, _, _, p = paired_test(a, b, truth if stratified else None)
    means = [class_mean(hits, classes) for hits in (a, b)]
    assert difference == pytest.approx(means[0] - means[1], abs=1e-12)
    assert p == pytest.approx(exact_p(a, b, classes), abs=0.025)
    other = paired_test(b, a, truth if stratified else None)
    assert other[0] == pytest.approx(-difference)
    assert other[3] == pytest.approx(p, abs=0.03)


def test_over_images_it_is_mcnemars_exact_test() -> None:
    a = np.repeat([True, False, True, False], [21, 9, 300, 170])
    b = np.repeat([False, True, True, False], [21, 9, 300, 170])
    difference, _, _, p = paired_test(a, b)
    assert difference == pytest.approx(12 / 500)
    assert p == pytest.approx(stats.binomtest(21, 30).pvalue, abs=0.01)


@pytest.mark.parametrize("stratified", [False, True])
def test_the_paired_interval_equals_a_bootstrap_that_draws_images(stratified: bool) -> None:
    rng = np.random.default_rng(4)
    truth = rng.choice([3, 5, 9], size=120, p=[0.7, 0.2, 0.1])
    a = rng.random(120) < np.where(truth == 3, 0.8, 0.4)
    b = np.where(rng.random(120) < 0.7, a, rng.random(120) < 0.3)
    groups = [np.flatnonzero(truth == c) for c in (3, 5, 9)] if stratified else [np.arange(120)]
    means = []
    for _ in range(3000):
        drawn = [rng.choice(rows, size=len(rows)) for rows in groups]
        means.append(np.mean([a[rows].mean() - b[rows].mean() for rows in drawn]))
    result = paired_test(a, b, truth if stratified else None)
    np.testing.assert_allclose(result[1:3], np.percentile(means, [2.5, 97.5]), atol=0.012)


@pytest.mark.parametrize("stratified", [False, True])
def test_methods_that_are_alike_are_told_apart_in_about_5_per_cent(stratified: bool) -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(10, size=500, p=np.arange(1, 11) / 55)
    rejected = missed = 0
    for _ in range(400):
        easy = rng.random(500) < 0.4  # images that both get right
        a, b = easy | (rng.random(500) < 0.3), easy | (rng.random(500) < 0.3)
        classes = truth if stratified else None
        _, lo, hi, p = paired_test(a, b, classes, resamples=400)
        rejected += p < 0.05
        missed += not lo <= 0 <= hi
    assert 0.02 <= rejected / 400 <= 0.08
    assert 0.02 <= missed / 400 <= 0.09


@pytest.mark.parametrize("stratified", [False, True])
def test_a_planted_difference_is_found_only_by_pairing(stratified: bool) -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(10, size=2000)
    b = rng.random(2000) < 0.5
    a = b | (rng.random(2000) < 0.03)  # right wherever b is, and a little more
    difference, lo, hi, p = paired_test(a, b, truth if stratified else None)
    assert 0 < lo < difference < hi < 0.03
    assert p == pytest.approx(1 / 10_001)  # the least there is
    # Apart, their intervals overlap.
    assert intervals.interval(a)[0] < intervals.interval(b)[1]


def test_the_same_hits_do_not_differ() -> None:
    hits = np.random.default_rng(0).random(50) < 0.5
    assert paired_test(hits, hits) == (0, 0, 0, 1)


def test_in_class_means_a_small_class_weighs_as_much_as_a_large_one() -> None:
    truth = np.repeat([0, 1], [100, 4])
    a, b = np.zeros(104, dtype=bool), np.zeros(104, dtype=bool)
    a[:20] = True  # a better on 20 of the large class, b on 3 of the small one
    b[100:103] = True
    assert paired_test(a, b)[0] == pytest.approx(17 / 104)
    assert paired_test(a, b, truth)[0] == pytest.approx((0.2 - 0.75) / 2)


# Models of which the metrics are known


def known_models(seed: int, vectors_match: bool) -> MethodOutput:
    """20 classes with 60 images each, half of the classes unseen; images are those of the class
    vectors, or of none.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(20, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truth = np.repeat(np.arange(20), 60)
    images = vectors[truth] if vectors_match else rng.normal(size=(len(truth), 16))
    seen = truth < 10
    return method_output("devise", vectors, images[seen], truth[seen], images[~seen], truth[~seen])


def known_metrics(model: MethodOutput) -> dict[str, float]:
    chosen = standard_protocols(np.arange(10), np.arange(10, 20))
    return evaluator.evaluate([model], chosen, ExactIndex).report.values


def test_a_random_embedding_scores_k_of_n_within_its_interval() -> None:
    inside = total = 0
    for seed in range(4):
        values = known_metrics(known_models(seed, vectors_match=False))
        for protocol, n in (("seen", 10), ("unseen", 10), ("all_seen", 20), ("all_unseen", 20)):
            for k in (1, 2, 5):
                name = f"{protocol}/hit@{k}"
                assert values[f"method/chance/{name}"] == k / n
                assert values[name] == pytest.approx(k / n, abs=0.08)
                inside += values[f"{name}/lo"] <= k / n <= values[f"{name}/hi"]
                total += 1
    assert inside / total >= 0.85  # 95 % of what depends on each other


def test_a_perfect_embedding_scores_1_and_shuffled_labels_destroy_it() -> None:
    model = known_models(0, vectors_match=True)
    values = known_metrics(model)
    shares = {n: v for n, v in values.items() if "/hit@" in n and "chance" not in n}
    assert shares
    lower = {name for name in shares if name.endswith("lo")}
    assert {value for name, value in shares.items() if name not in lower} == {1.0}
    assert all(0.6 < shares[name] < 1 for name in lower)  # it is no proof of what comes next
    assert values["all/H@1"] == 1
    rng = np.random.default_rng(0)
    shuffled = method_output(
        "devise",
        model.class_vectors,
        model.seen.vectors,
        rng.permutation(model.seen.class_ids),
        model.unseen.vectors,
        rng.permutation(model.unseen.class_ids),
    )
    values = known_metrics(shuffled)
    for protocol in ("seen", "unseen", "all_seen", "all_unseen"):
        assert values[f"{protocol}/hit@1/lo"] <= 0.1 <= values[f"{protocol}/hit@1/hi"]
        assert values[f"{protocol}/hit@1/hi"] < 0.2


# What cannot be asked


def test_hits_and_classes_of_different_number_are_refused() -> None:
    five, six = np.ones(5, dtype=bool), np.ones(6, dtype=bool)
    for call in (
        lambda: intervals.interval(five, np.arange(6)),
        lambda: class_interval(five, np.arange(6)),
        lambda: paired_test(six, five),
        lambda: paired_test(five, six, np.arange(5)),
    ):
        with pytest.raises(InputError, match=r"hits has . rows but truth has ."):
            call()
    with pytest.raises(InputError, match="a has 2 seeds but b has 3: give both the same seeds"):
        paired_seeds(np.array([0.1, 0.2]), np.array([0.1, 0.2, 0.3]))


def test_nothing_and_nonsense_are_errors() -> None:
    flags = np.array([], dtype=bool)
    for call in (
        lambda: intervals.interval(flags),
        lambda: class_interval(flags, np.array([], dtype=int)),
        lambda: paired_test(flags, flags),
        lambda: paired_test(np.array([0, 1]), np.array([1, 1])),
        lambda: mean_interval(np.array([])),
        lambda: mean_interval(np.array([0.5, np.nan])),
        lambda: seed_interval(np.array([0.5])),
        lambda: paired_seeds(np.array([0.5]), np.array([0.4])),
    ):
        with pytest.raises(InputError, match="found shape"):
            call()


def test_an_interval_does_not_depend_on_how_many_samples_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    hits, truth = rng.random(3000) < 0.4, rng.integers(500, size=3000)
    counts, shares = per_class(hits, truth)
    draws = np.random.default_rng(0).binomial(counts, shares, size=(2000, len(counts)))
    expected = np.quantile((draws / counts).mean(axis=1), [0.025, 0.975]).tolist()
    for at_once in (1, 100_000, 1 << 20):
        monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", at_once)
        assert list(intervals.interval(hits, truth)) == expected
