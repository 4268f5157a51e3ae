"""Precision and recall against hand-worked cases, plain Python, torchmetrics and simulations."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from helpers.searches import searches
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_precision

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.retrieval import (
    average_precision,
    chance_average_precision,
    index_recall,
    precision_at_k,
)


@st.composite
def rankings(draw: st.DrawFn) -> np.ndarray:
    """Relevance (Q, N) in ranked order, at least one relevant image in each row."""
    n = draw(st.integers(1, 15))
    row = st.lists(st.booleans(), min_size=n, max_size=n).filter(any)
    return np.array(draw(st.lists(row, min_size=1, max_size=8)))


def slow_average_precision(row: list[bool]) -> Fraction:
    ranks = [rank for rank, relevant in enumerate(row, 1) if relevant]
    return sum((Fraction(i, rank) for i, rank in enumerate(ranks, 1)), Fraction()) / len(ranks)


def test_precision_of_a_worked_case() -> None:
    # Relevant at ranks 1, 3 and 6 of six; and at the last rank alone.
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


@settings(max_examples=25, deadline=None)
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
            slow_average_precision([rank in relevant for rank in range(n)])
            for relevant in combinations(range(n), r)
        ]
        expected = chance_average_precision(np.array([r]), n)
        assert expected == pytest.approx([float(sum(every, Fraction()) / len(every))], abs=1e-12)


def test_chance_average_precision_is_what_random_rankings_reach() -> None:
    relevant = np.random.default_rng(0).permuted(
        np.repeat(np.arange(200)[None] < 12, 4000, axis=0), axis=1
    )
    reached = average_precision(relevant)
    expected = float(chance_average_precision(np.array([12]), 200)[0])
    assert expected > 12 / 200  # more than the share of relevant images
    assert reached.mean() == pytest.approx(expected, abs=4 * reached.std() / 4000**0.5)


def test_precision_without_a_relevant_image_is_an_error() -> None:
    relevant = np.array([[True, False], [False, False], [False, False]])
    with pytest.raises(InputError, match=r"not defined without a relevant image: query 1 .*2 of 3"):
        average_precision(relevant)
    assert precision_at_k(relevant, 2).tolist() == [0.5, 0, 0]  # this is defined
    for k in (0, 3):
        with pytest.raises(InputError, match=f"k is {k}, but there are 2"):
            precision_at_k(relevant, k)
    for wrong in (0, 6):
        with pytest.raises(InputError, match="relevant of 5: give numbers from 1 to 5"):
            chance_average_precision(np.array([wrong, 3]), 5)


# The recall of an index


@settings(max_examples=25, deadline=None)
@given(searches(), st.integers(0, 1000))
def test_index_recall_equals_plain_python(
    search: tuple[np.ndarray, np.ndarray, int], seed: int
) -> None:
    exact, _, candidates = search
    n, k = exact.shape
    neighbours = np.argsort(np.random.default_rng(seed).random((n, candidates)))[:, :k]
    shares = [
        len(set(one) & set(other)) / k
        for one, other in zip(neighbours.tolist(), exact.tolist(), strict=True)
    ]
    assert index_recall(neighbours, exact) == pytest.approx(sum(shares) / n)
    assert index_recall(exact[:, ::-1], exact) == 1


def test_index_recall_of_a_worked_case() -> None:
    neighbours, exact = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[3, 1, 9], [7, 8, 9]])
    assert index_recall(neighbours, exact) == pytest.approx(2 / 6)


def test_lists_that_do_not_fit_together_are_named() -> None:
    once, twice = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[1, 2, 3], [4, 5, 4]])
    with pytest.raises(InputError, match="search both with the same k"):
        index_recall(once, once[:, :2])
    with pytest.raises(InputError, match="neighbours: row 1"):
        index_recall(twice, once)
    with pytest.raises(InputError, match="exact: row 1"):
        index_recall(once, twice)


def test_nothing_and_nonsense_are_errors() -> None:
    for call in (
        lambda: average_precision(np.empty((0, 3), dtype=bool)),
        lambda: average_precision(np.array([True, False])),
        lambda: precision_at_k(np.array([[0.0, 1.0]]), 1),
        lambda: chance_average_precision(np.array([0.5]), 3),
        lambda: index_recall(np.empty((0, 3), dtype=int), np.empty((0, 3), dtype=int)),
    ):
        with pytest.raises(InputError, match="found shape"):
            call()
