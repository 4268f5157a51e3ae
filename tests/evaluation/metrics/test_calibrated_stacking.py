"""The seen/unseen trade-off against brute force over whole score matrices."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from helpers.outputs import method_output
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.metrics import tradeoff
from devise_exp.evaluation.metrics.best_gamma import best_gamma
from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult, calibrate_results
from devise_exp.evaluation.metrics.tradeoff import Curve, TopAnswers, top_answers, tradeoff_curve
from devise_exp.evaluation.protocols import standard_protocols
from devise_exp.index.exact import ExactIndex

SEEN, UNSEEN = np.array([0, 2, 3]), np.array([1, 4])


@dataclass(frozen=True)
class Scores:
    """Similarities (N, 5) of images to the labels 0 to 4, and class ids (N,)."""

    similarity: np.ndarray
    truth: np.ndarray

    def search(self, labels: np.ndarray, k: int | None = None) -> SearchResult:
        """As an index would: best first, ties by id."""
        order = np.argsort(-self.similarity[:, labels], axis=1, kind="stable")[:, :k]
        ids = labels[order]
        return ids, np.take_along_axis(self.similarity, ids, axis=1)

    def best(self) -> TopAnswers:
        return top_answers(self.search(SEEN), self.search(UNSEEN), self.truth)

    def ranked(self, gamma: float) -> list[list[int]]:
        """All labels, seen ones lowered, best first; ties: seen first, then by id."""
        rows = []
        for row in self.similarity.tolist():
            lowered = {c: row[c] - gamma * (c in SEEN) for c in range(5)}
            rows.append(sorted(lowered, key=lambda c: (-lowered[c], c not in SEEN, c)))
        return rows

    def class_mean(self, gamma: float) -> float:
        hits: dict[int, list[bool]] = {}
        for ranked, true in zip(self.ranked(gamma), self.truth.tolist(), strict=True):
            hits.setdefault(true, []).append(ranked[0] == true)
        return sum(sum(row) / len(row) for row in hits.values()) / len(hits)


def harmonic(pair: tuple[float, float]) -> float:
    return 2 * pair[0] * pair[1] / sum(pair) if sum(pair) else 0.0


@st.composite
def sides(draw: st.DrawFn, levels: int = 8) -> tuple[Scores, Scores]:
    """Images of seen and of unseen classes, with similarities in eighths so that many tie."""

    def side(classes: np.ndarray) -> Scores:
        n = draw(st.integers(1, 14))
        rng = np.random.default_rng(draw(st.integers(0, 10_000)))
        truth = rng.choice(classes, size=n)
        similarity = rng.integers(-levels, levels + 1, size=(n, 5)) / 8
        similarity[np.arange(n), truth] += draw(st.sampled_from([0, 0.25, 1]))
        return Scores(similarity, truth)

    return side(SEEN), side(UNSEEN)


def candidates(seen: Scores, unseen: Scores) -> np.ndarray:
    """A gamma at, and one between, any two gammas that make a difference."""
    gaps = np.concatenate([
        s.similarity[:, SEEN].max(axis=1) - s.similarity[:, UNSEEN].max(axis=1)
        for s in (seen, unseen)
    ])  # fmt: skip
    at = np.unique(gaps)
    return np.sort(np.concatenate([at, (at[1:] + at[:-1]) / 2, [at[0] - 1, at[-1] + 1]]))


def test_a_worked_case() -> None:
    # Seen images: right ones change past 0.5 and 0.3 (class 0) and 0.1 (class 2), a wrong one past
    # 0.2 (class 2). Unseen images: right past -0.2 and 0.4 (class 1), wrong past 0 (class 4).
    seen = TopAnswers(
        np.array([0.5, 0.3, 0.1, 0.2]),
        np.zeros(4),
        np.array([True, True, True, False]),
        np.array([0, 0, 2, 2]),
    )
    unseen = TopAnswers(
        np.array([-0.2, 0.4, 0.0]), np.zeros(3), np.array([True, True, False]), np.array([1, 1, 4])
    )
    curve = tradeoff_curve(seen, unseen)
    assert curve.critical.tolist() == [-0.2, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert curve.seen == pytest.approx([0.75, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0])
    assert curve.unseen == pytest.approx([0, 0.25, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5])
    assert curve.at(-1) == pytest.approx((0.75, 0))
    assert curve.at(0) == pytest.approx((0.75, 0.25))
    assert curve.at(9) == pytest.approx((0, 0.5))
    assert tradeoff.ausuc(curve) == pytest.approx(0.25 * 0.75 + 0.25 * 0.25)
    # H is greatest, 0.375, with 0.75 and 0.25: from -0.2 to 0.1.
    assert best_gamma(curve) == pytest.approx(-0.05)
    assert tradeoff.points(curve) == pytest.approx(
        np.array([[0.75, 0], [0.75, 0.25], [0.5, 0.25], [0.25, 0.25], [0.25, 0.5], [0, 0.5]])
    )


@settings(max_examples=30, deadline=None)
@given(sides())
def test_the_curve_equals_ranking_all_labels_at_every_gamma(pair: tuple[Scores, Scores]) -> None:
    seen, unseen = pair
    curve = tradeoff_curve(seen.best(), unseen.best())
    for gamma in candidates(seen, unseen).tolist():
        slow = seen.class_mean(gamma), unseen.class_mean(gamma)
        assert curve.at(gamma) == pytest.approx(slow, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(sides())
def test_ausuc_equals_a_sweep(pair: tuple[Scores, Scores]) -> None:
    seen, unseen = pair
    points = [(seen.class_mean(f), unseen.class_mean(f)) for f in candidates(seen, unseen).tolist()]
    slow = sum((u2 - u1) * (s1 + s2) / 2 for (s1, u1), (s2, u2) in pairwise(points))
    curve = tradeoff_curve(seen.best(), unseen.best())
    assert tradeoff.ausuc(curve) == pytest.approx(slow, abs=1e-12)
    # It starts with seen labels only and ends with unseen ones only; neither class mean turns back.
    assert curve.unseen[0] == 0
    assert curve.seen[-1] == 0
    assert (np.diff(curve.seen) <= 0).all()
    assert (np.diff(curve.unseen) >= 0).all()
    drawn = tradeoff.points(curve)
    trapezoid = (np.diff(drawn[:, 1]) * (drawn[1:, 0] + drawn[:-1, 0]) / 2).sum()
    assert trapezoid == pytest.approx(slow, abs=1e-12)  # fewer than 200 points: nothing is lost


@settings(max_examples=30, deadline=None)
@given(sides())
def test_no_gamma_beats_the_best_one_and_it_is_in_the_middle(pair: tuple[Scores, Scores]) -> None:
    seen, unseen = pair
    chosen = best_gamma(tradeoff_curve(seen.best(), unseen.best()))
    metrics = {
        f: harmonic((seen.class_mean(f), unseen.class_mean(f)))
        for f in candidates(seen, unseen).tolist()
    }
    best = max(metrics.values())
    assert harmonic((seen.class_mean(chosen), unseen.class_mean(chosen))) == pytest.approx(best)
    if best == 0:
        assert chosen == 0
        return
    # Around it every gamma is as good, as far below as above: similarities are in eighths, so that
    # gammas are, and the metrics hold from past one of them to the next one.
    steps = np.arange(-52, 53) / 16 + 1 / 32
    good = [
        f for f in steps.tolist()
        if harmonic((seen.class_mean(f), unseen.class_mean(f))) > best - 1e-9
    ]  # fmt: skip
    runs = np.split(good, np.flatnonzero(np.diff(good) > 1 / 16 + 1e-9) + 1)
    widest = max(runs, key=len)
    assert chosen == pytest.approx((widest[0] + widest[-1]) / 2)


def test_of_two_best_stretches_the_wider_one_is_taken() -> None:
    # H is the same with 0.8 and 0.4 as with 0.4 and 0.8.
    for critical, middle in (([0, 1, 2, 4, 5], 3), ([0, 2, 3, 4, 5], 1)):
        curve = Curve(
            np.array(critical, dtype=float),
            np.array([0.8, 0.8, 0.45, 0.4, 0.2, 0]),
            np.array([0, 0.4, 0.45, 0.8, 0.8, 0.8]),
        )
        assert best_gamma(curve) == middle


@settings(max_examples=30, deadline=None)
@given(sides(), st.integers(-16, 16), st.integers(1, 5))
def test_calibrated_equals_sorting_the_whole_score_matrix(
    pair: tuple[Scores, Scores], eighths: int, k: int
) -> None:
    for scores in pair:
        whole = np.array(scores.ranked(eighths / 8))
        # Lists of k labels, or of all where a side has fewer, are enough.
        merged = calibrate_results(
            scores.search(SEEN, k), scores.search(UNSEEN, k), eighths / 8, min(k, 3)
        )
        np.testing.assert_array_equal(merged, whole[:, : min(k, 3)])
        merged = calibrate_results(scores.search(SEEN), scores.search(UNSEEN), eighths / 8, 5)
        np.testing.assert_array_equal(merged, whole)


@pytest.mark.parametrize("gamma", [-0.3, 0.0, 0.05, 0.4])
def test_curve_and_calibrated_rankings_of_a_model_agree(gamma: float) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 8)).astype(np.float32)
    best, means = [], []
    for classes in (SEEN, UNSEEN):
        truth = np.repeat(classes, [30, 12, 50][: len(classes)])
        images = vectors[truth] + rng.normal(size=(len(truth), 8)) * 1.5
        lists: list[SearchResult] = []
        for labels in (SEEN, UNSEEN):
            ids, similarities = ExactIndex(vectors[labels]).search(images, len(labels))
            lists.append((labels[ids], similarities))
        best.append(top_answers(lists[0], lists[1], truth))
        answers = calibrate_results(*lists, gamma, 1)[:, 0]
        means.append(np.mean([(answers[truth == c] == c).mean() for c in classes]))
        if gamma == 0:
            both = np.concatenate([SEEN, UNSEEN])
            ids, _ = ExactIndex(vectors[both]).search(images, 5)
            np.testing.assert_array_equal(calibrate_results(*lists, 0, 5), both[ids])
    curve = tradeoff_curve(*best)
    assert curve.at(gamma) == pytest.approx(means)
    assert 0 < means[0] < 1
    assert 0 < means[1] < 1


def test_at_gamma_0_the_metrics_are_those_of_the_protocols() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(5, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [np.repeat(c, 40 // len(c)) for c in (SEEN, UNSEEN)]
    images = [vectors[t] + rng.normal(size=(len(t), 6)) * 0.5 for t in rows]
    images = [i / np.linalg.norm(i, axis=1, keepdims=True) for i in images]
    model = method_output("devise", vectors, images[0], rows[0], images[1], rows[1])
    values = evaluator.evaluate([model], standard_protocols(SEEN, UNSEEN), ExactIndex).report.values
    best = [Scores(i @ vectors.T, t).best() for i, t in zip(images, rows, strict=True)]
    curve = tradeoff_curve(*best)
    names = [f"all_{side}/hit@1/class_mean" for side in ("seen", "unseen")]
    assert curve.at(0) == pytest.approx([values[name] for name in names])
    # Far out only one side's labels are left: the metrics of that side alone.
    assert curve.seen[0] == pytest.approx(values["seen/hit@1/class_mean"])
    assert curve.unseen[-1] == pytest.approx(values["unseen/hit@1/class_mean"])


def test_calibration_helps_a_model_that_favours_seen_labels() -> None:
    rng = np.random.default_rng(2)
    scores = []
    for classes in (SEEN, UNSEEN):
        truth = np.repeat(classes, 60)
        similarity = rng.normal(scale=0.2, size=(len(truth), 5))
        similarity[np.arange(len(truth)), truth] += 0.6
        similarity[:, SEEN] += 1  # the bias
        scores.append(Scores(similarity, truth).best())
    curve = tradeoff_curve(*scores)
    assert curve.at(0)[1] < 0.1
    chosen = best_gamma(curve)
    assert chosen == pytest.approx(1, abs=0.2)
    assert harmonic(curve.at(chosen)) > 0.8 > 4 * harmonic(curve.at(0))


def test_a_model_that_is_never_wrong_has_area_1_and_one_that_is_never_right_0() -> None:
    rng = np.random.default_rng(3)

    def side(classes: np.ndarray, right: bool) -> TopAnswers:
        truth = rng.choice(classes, size=30)
        similarity = rng.random((30, 5)) * 0.1
        similarity[np.arange(30), truth] += 1.0 if right else -1.0
        return Scores(similarity, truth).best()

    perfect = tradeoff_curve(side(SEEN, True), side(UNSEEN, True))
    assert tradeoff.ausuc(perfect) == pytest.approx(1)
    assert perfect.at(best_gamma(perfect)) == pytest.approx((1, 1))
    hopeless = tradeoff_curve(side(SEEN, False), side(UNSEEN, False))
    assert tradeoff.ausuc(hopeless) == best_gamma(hopeless) == 0


def test_many_points_are_thinned_out_between_the_ends() -> None:
    steps = np.linspace(0, 1, 5001)
    curve = Curve(np.arange(5000.0), 1 - steps, steps)
    drawn = tradeoff.points(curve)
    assert len(drawn) == 200
    assert drawn[0].tolist() == [1, 0]
    assert drawn[-1].tolist() == [0, 1]
    assert np.diff(drawn[:, 1]).max() < 1 / 150


def test_what_does_not_fit_together_is_named() -> None:
    ids, scores = np.array([[0, 2], [2, 0]]), np.array([[0.5, 0.1], [0.3, 0.2]])
    result = ids, scores
    with pytest.raises(InputError, match="k is 5, but there are 4 candidates"):
        calibrate_results(result, (ids + 1, scores), 0, 5)
    with pytest.raises(InputError, match="2 and 1 images, gamma 0"):
        calibrate_results(result, (ids[:1], scores[:1]), 0, 1)
    with pytest.raises(InputError, match="give a finite gamma"):
        calibrate_results(result, (ids + 1, scores), float("nan"), 1)
    one = np.ones(1)
    for wrong in (
        lambda: TopAnswers(one, one, np.ones(2, dtype=bool), np.zeros(1, dtype=int)),
        lambda: TopAnswers(one, one, one, np.zeros(1, dtype=int)),
        lambda: TopAnswers(one * np.nan, one, np.ones(1, dtype=bool), np.zeros(1, dtype=int)),
        lambda: TopAnswers(one[:0], one[:0], np.ones(0, dtype=bool), np.zeros(0, dtype=int)),
    ):
        with pytest.raises(ValueError, match="best answers"):
            wrong()
