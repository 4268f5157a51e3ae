"""The metrics against hand-worked cases, plain Python, torchmetrics and simulations."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_precision
from torchmetrics.retrieval import RetrievalHitRate

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import check_k, check_truth
from devise_exp.evaluation.metrics.hits import (
    chance,
    class_mean,
    harmonic_mean,
    hit_at_k,
    rank_of_truth,
)
from devise_exp.evaluation.metrics.retrieval import (
    average_precision,
    chance_average_precision,
    index_recall,
    precision_at_k,
)

# Six images of classes 0, 0, 0, 1, 1, 2 and their three nearest among the labels 0 to 3.
NEIGHBOURS = np.array([[0, 1, 2], [1, 0, 3], [3, 2, 1], [1, 0, 2], [2, 3, 1], [0, 1, 3]])
TRUTH = np.array([0, 0, 0, 1, 1, 2])


@st.composite
def searches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Neighbours (N, K), truth (N,) and the number of candidates, K of which are neighbours."""
    candidates = draw(st.integers(1, 12))
    n, k = draw(st.integers(1, 30)), draw(st.integers(1, candidates))
    rows = [draw(st.permutations(range(candidates)))[:k] for _ in range(n)]
    truth = [draw(st.integers(0, candidates - 1)) for _ in range(n)]
    return np.array(rows), np.array(truth), candidates


hits_and_classes = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=60)


def test_the_worked_case() -> None:
    ranks = rank_of_truth(NEIGHBOURS, TRUTH)
    assert ranks.tolist() == [0, 1, 3, 0, 2, 3]  # 3: not among the three nearest
    assert hit_at_k(ranks, 1).tolist() == [True, False, False, True, False, False]
    assert hit_at_k(ranks, 2).tolist() == [True, True, False, True, False, False]
    assert hit_at_k(ranks, 3).tolist() == [True, True, False, True, True, False]
    # Class 0: 2 of 3, class 1: 1 of 2, class 2: 0 of 1; the share over images is 3 of 6.
    assert class_mean(hit_at_k(ranks, 2), TRUTH) == pytest.approx(7 / 18)
    assert hit_at_k(ranks, 2).mean() == 0.5


@given(searches())
def test_rank_and_hits_equal_plain_python(search: tuple[np.ndarray, np.ndarray, int]) -> None:
    neighbours, truth, _ = search
    ranks = rank_of_truth(neighbours, truth)
    width = neighbours.shape[1]
    rows = [
        row.index(true) if true in row else width
        for row, true in zip(neighbours.tolist(), truth.tolist(), strict=True)
    ]
    assert ranks.tolist() == rows
    for k in range(1, width + 1):
        hits = [
            true in row[:k] for row, true in zip(neighbours.tolist(), truth.tolist(), strict=True)
        ]
        assert hit_at_k(ranks, k).tolist() == hits


@settings(max_examples=30, deadline=None)
@given(searches(), st.integers(1, 12))
def test_hit_at_k_equals_torchmetrics(search: tuple[np.ndarray, np.ndarray, int], k: int) -> None:
    neighbours, truth, _ = search
    n, width = neighbours.shape
    k = min(k, width)
    scores = torch.arange(width, 0, -1, dtype=torch.float32).repeat(n) / width
    theirs = RetrievalHitRate(empty_target_action="neg", top_k=k)(
        scores,
        torch.from_numpy((neighbours == truth[:, None]).reshape(-1)),
        indexes=torch.arange(n).repeat_interleave(width),
    )
    ours = hit_at_k(rank_of_truth(neighbours, truth), k).mean()
    assert ours == pytest.approx(float(theirs), abs=1e-6)


@given(hits_and_classes)
def test_class_mean_equals_plain_python(pairs: list[tuple[bool, int]]) -> None:
    classes: dict[int, list[bool]] = {}
    for hit, name in pairs:
        classes.setdefault(name, []).append(hit)
    shares = [Fraction(sum(hits), len(hits)) for hits in classes.values()]
    hits, truth = (np.array(column) for column in zip(*pairs, strict=True))
    expected = float(sum(shares, Fraction()) / len(shares))
    assert class_mean(hits, truth) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("u", "s", "h"),
    # The last three are printed by Xian et al. 2018 for DeViSE, in per cent with one decimal.
    [
        (0, 0, 0),
        (0, 1, 0),
        (0.5, 0.5, 0.5),
        (16.9, 27.4, 20.9),
        (23.8, 53.0, 32.8),
        (4.9, 76.9, 9.2),
    ],
)
def test_harmonic_mean(u: float, s: float, h: float) -> None:
    assert harmonic_mean(u, s) == pytest.approx(h, abs=0.05)
    assert harmonic_mean(u, s) == harmonic_mean(s, u)


@pytest.mark.parametrize(("u", "s"), [(-0.1, 0.5), (0.5, float("nan")), (float("inf"), 0.5)])
def test_harmonic_mean_of_no_figure_is_an_error(u: float, s: float) -> None:
    with pytest.raises(InputError, match="figure is"):
        harmonic_mean(u, s)


def test_chance_is_what_random_rankings_reach() -> None:
    rng = np.random.default_rng(0)
    neighbours = np.argsort(rng.random((20_000, 25)), axis=1)
    hits = hit_at_k(rank_of_truth(neighbours, rng.integers(25, size=20_000)), 5)
    assert chance(5, 25) == 0.2
    assert hits.mean() == pytest.approx(0.2, abs=0.012)  # four standard errors
    assert chance(25, 25) == 1


@settings(max_examples=40, deadline=None)
@given(searches(), st.integers(0, 1000))
def test_index_recall_equals_plain_python(
    search: tuple[np.ndarray, np.ndarray, int], seed: int
) -> None:
    exact, _, candidates = search
    n, k = exact.shape
    found = np.argsort(np.random.default_rng(seed).random((n, candidates)))[:, :k]
    shares = [
        len(set(one) & set(other)) / k
        for one, other in zip(found.tolist(), exact.tolist(), strict=True)
    ]
    assert index_recall(found, exact) == pytest.approx(sum(shares) / n)
    assert index_recall(exact[:, ::-1], exact) == 1


def test_index_recall_of_a_worked_case() -> None:
    found, exact = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[3, 1, 9], [7, 8, 9]])
    assert index_recall(found, exact) == pytest.approx(2 / 6)


# Search: relevant pictures in ranked order


@st.composite
def rankings(draw: st.DrawFn) -> np.ndarray:
    """Relevance (Q, N) in ranked order, at least one relevant picture in each row."""
    n = draw(st.integers(1, 15))
    row = st.lists(st.booleans(), min_size=n, max_size=n).filter(any)
    return np.array(draw(st.lists(row, min_size=1, max_size=8)))


def slow_average_precision(row: list[bool]) -> Fraction:
    places = [place for place, relevant in enumerate(row, 1) if relevant]
    return sum((Fraction(i, place) for i, place in enumerate(places, 1)), Fraction()) / len(places)


def test_precision_of_a_worked_case() -> None:
    # Relevant at places 1, 3 and 6 of six; and at the last place alone.
    relevant = np.array([[True, False, True, False, False, True], [False] * 5 + [True]])
    assert average_precision(relevant) == pytest.approx([(1 + 2 / 3 + 1 / 2) / 3, 1 / 6])
    assert precision_at_k(relevant, 1).tolist() == [1, 0]
    assert precision_at_k(relevant, 5) == pytest.approx([2 / 5, 0])
    assert precision_at_k(relevant, 6) == pytest.approx([3 / 6, 1 / 6])


@given(rankings())
def test_precision_equals_plain_python(relevant: np.ndarray) -> None:
    rows = relevant.tolist()
    expected = [float(slow_average_precision(row)) for row in rows]
    assert average_precision(relevant) == pytest.approx(expected, abs=1e-12)
    for k in range(1, relevant.shape[1] + 1):
        shares = [sum(row[:k]) / k for row in rows]
        assert precision_at_k(relevant, k) == pytest.approx(shares, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(rankings())
def test_precision_equals_torchmetrics(relevant: np.ndarray) -> None:
    n = relevant.shape[1]
    scores = torch.arange(n, 0, -1, dtype=torch.float32) / n
    rows = [torch.from_numpy(row) for row in relevant]
    theirs = [float(retrieval_average_precision(scores, row)) for row in rows]
    assert average_precision(relevant) == pytest.approx(theirs, abs=1e-6)
    for k in (1, (n + 1) // 2, n):
        theirs = [float(retrieval_precision(scores, row, top_k=k)) for row in rows]
        assert precision_at_k(relevant, k) == pytest.approx(theirs, abs=1e-6)


@given(rankings())
def test_the_best_ranking_has_average_precision_1_and_the_worst_the_least(
    relevant: np.ndarray,
) -> None:
    ordered = np.sort(relevant, axis=1)  # irrelevant ones first
    worst, given_, best = map(
        average_precision, (ordered, relevant, np.ascontiguousarray(ordered[:, ::-1]))
    )
    assert best == pytest.approx(1)
    assert (worst <= given_ + 1e-12).all()
    assert (given_ <= best + 1e-12).all()


@pytest.mark.parametrize("n", range(1, 9))
def test_chance_average_precision_is_the_mean_over_all_rankings(n: int) -> None:
    for r in range(1, n + 1):
        every = [
            slow_average_precision([place in relevant for place in range(n)])
            for relevant in combinations(range(n), r)
        ]
        found = chance_average_precision(np.array([r]), n)
        assert found == pytest.approx([float(sum(every, Fraction()) / len(every))], abs=1e-12)


def test_chance_average_precision_is_what_random_rankings_reach() -> None:
    relevant = np.random.default_rng(0).permuted(
        np.repeat(np.arange(200)[None] < 12, 4000, axis=0), axis=1
    )
    reached = average_precision(relevant)
    expected = float(chance_average_precision(np.array([12]), 200)[0])
    assert expected > 12 / 200  # more than the share of relevant pictures
    assert reached.mean() == pytest.approx(expected, abs=4 * reached.std() / 4000**0.5)


def test_precision_without_a_relevant_picture_is_an_error() -> None:
    relevant = np.array([[True, False], [False, False], [False, False]])
    with pytest.raises(
        InputError, match=r"not defined without a relevant picture: query 1 .*2 of 3"
    ):
        average_precision(relevant)
    assert precision_at_k(relevant, 2).tolist() == [0.5, 0, 0]  # this is defined
    for k in (0, 3):
        with pytest.raises(InputError, match=f"k is {k}, but there are 2"):
            precision_at_k(relevant, k)
    for wrong in (0, 6):
        with pytest.raises(InputError, match="relevant of 5: give numbers from 1 to 5"):
            chance_average_precision(np.array([wrong, 3]), 5)


def test_a_query_with_no_true_answer_is_named() -> None:
    check_truth(np.array([3, 5, 5]), np.array([5, 3, 8]))
    with pytest.raises(
        InputError, match=r"no true answer: query 1 has label 7, .* 3 candidates .*2 of 4"
    ):
        check_truth(np.array([3, 7, 5, 9]), np.array([5, 3, 8]))


@pytest.mark.parametrize("k", [0, -2, 26])
def test_k_outside_the_candidates_is_named(k: int) -> None:
    with pytest.raises(InputError, match=rf"k is {k}, but there are 25 candidates: set k"):
        check_k(k, 25)
    with pytest.raises(InputError, match="25 candidates"):
        chance(k, 25)


def test_a_row_that_names_an_id_twice_is_named() -> None:
    twice = np.array([[1, 2, 3], [4, 5, 4]])
    once = np.array([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(InputError, match=r"neighbours: row 1 names an id twice \(1 of 2"):
        rank_of_truth(twice, np.array([1, 4]))
    with pytest.raises(InputError, match="found: row 1"):
        index_recall(twice, once)
    with pytest.raises(InputError, match="exact: row 1"):
        index_recall(once, twice)


def test_what_does_not_fit_together_is_named() -> None:
    with pytest.raises(InputError, match="neighbours has 6 rows but truth has 5"):
        rank_of_truth(NEIGHBOURS, TRUTH[:5])
    with pytest.raises(InputError, match="hits has 5 rows but truth has 6"):
        class_mean(np.ones(5, dtype=bool), TRUTH)
    with pytest.raises(InputError, match="search both with the same k"):
        index_recall(NEIGHBOURS, NEIGHBOURS[:, :2])
    with pytest.raises(InputError, match="set k to 1 or more"):
        hit_at_k(TRUTH, 0)


def test_nothing_and_nonsense_are_errors() -> None:
    none, flags = np.array([], dtype=int), np.array([], dtype=bool)
    for call in (
        lambda: rank_of_truth(np.empty((0, 3), dtype=int), none),
        lambda: rank_of_truth(np.empty((3, 0), dtype=int), TRUTH[:3]),
        lambda: rank_of_truth(NEIGHBOURS.astype(float), TRUTH),
        lambda: hit_at_k(none, 1),
        lambda: class_mean(flags, none),
        lambda: class_mean(np.array([0.5, 1.0]), TRUTH[:2]),
        lambda: average_precision(np.empty((0, 3), dtype=bool)),
        lambda: average_precision(np.array([True, False])),
        lambda: precision_at_k(np.array([[0.0, 1.0]]), 1),
        lambda: chance_average_precision(np.array([0.5]), 3),
        lambda: index_recall(np.empty((0, 3), dtype=int), np.empty((0, 3), dtype=int)),
        lambda: check_truth(none, TRUTH),
        lambda: check_truth(TRUTH, none),
    ):
        with pytest.raises(InputError, match="found shape"):
            call()
