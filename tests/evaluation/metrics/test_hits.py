"""Hits against hand-worked cases, plain Python, torchmetrics and simulations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers.searches import searches
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.retrieval import RetrievalHitRate

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.hits import (
    chance,
    class_mean,
    harmonic_mean,
    hit_at_k,
    rank_of_truth,
)

# Six images of classes 0, 0, 0, 1, 1, 2 and their three nearest among the labels 0 to 3.
NEIGHBOURS = np.array([[0, 1, 2], [1, 0, 3], [3, 2, 1], [1, 0, 2], [2, 3, 1], [0, 1, 3]])
TRUTH = np.array([0, 0, 0, 1, 1, 2])


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


def test_a_ranking_that_names_a_label_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"neighbours: row 1 names an id twice \(1 of 2 rows do\)"):
        rank_of_truth(np.array([[0, 1, 2], [1, 0, 1]]), np.array([0, 1]))


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
def test_harmonic_mean_of_no_metric_is_an_error(u: float, s: float) -> None:
    with pytest.raises(InputError, match="metric is"):
        harmonic_mean(u, s)


def test_chance_is_what_random_rankings_reach() -> None:
    rng = np.random.default_rng(0)
    neighbours = np.argsort(rng.random((20_000, 25)), axis=1)
    hits = hit_at_k(rank_of_truth(neighbours, rng.integers(25, size=20_000)), 5)
    assert chance(5, 25) == 0.2
    assert hits.mean() == pytest.approx(0.2, abs=0.012)  # four standard errors
    assert chance(25, 25) == 1


def test_chance_needs_a_k_among_the_candidates() -> None:
    with pytest.raises(InputError, match="25 candidates"):
        chance(26, 25)


def test_what_does_not_fit_together_is_named() -> None:
    with pytest.raises(InputError, match="neighbours has 6 rows but truth has 5"):
        rank_of_truth(NEIGHBOURS, TRUTH[:5])
    with pytest.raises(InputError, match="hits has 5 rows but truth has 6"):
        class_mean(np.ones(5, dtype=bool), TRUTH)
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
    ):
        with pytest.raises(InputError, match="found shape"):
            call()
