"""Hubs, confusions and similarities of rankings against counting in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.diagnosed import (
    NAMES,
    diagnosed,
    protocol_ranking,
    unit,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from devise_exp.evaluation import ranking_analysis
from devise_exp.evaluation.ranking_analysis import (
    calibration_curve,
)

# Hubs


@pytest.mark.parametrize("protocol", ["unseen", "all_seen"])
def test_hubness_equals_counting(protocol: str) -> None:
    _, rows, _, content = diagnosed()
    row, hubs = rows[protocol], content["hubness"][protocol]
    k = 7 if protocol == "unseen" else 10  # of 14 candidates half
    counts = {c: sum(c in ids[:k] for ids in row.neighbours.tolist()) for c in row.candidates}
    assert hubs["k"] == k
    assert hubs["skewness"] == pytest.approx(stats.skew(list(counts.values())))
    expected = len(row.truth) * k / len(row.candidates)
    worst = sorted((c for c in counts if counts[c] > expected), key=lambda c: (-counts[c], c))
    assert hubs["hubs"] == [
        {"name": NAMES[c], "count": counts[c], "expected": pytest.approx(expected)}
        for c in worst[:10]
    ]


def test_a_planted_hub_is_named() -> None:
    rng = np.random.default_rng(0)
    neighbours = np.argsort(rng.random((200, 30)), axis=1)[:, :10]
    even = protocol_ranking(
        "seen", np.zeros(200, dtype=int), np.arange(30), neighbours, np.ones(200)
    )
    misses = ~(neighbours == 17).any(axis=1)
    neighbours = neighbours.copy()
    neighbours[misses, 9] = 17  # among the ten nearest of every image
    hub = protocol_ranking(
        "seen", np.zeros(200, dtype=int), np.arange(30), neighbours, np.ones(200)
    )
    assert ranking_analysis.hubness(hub, NAMES)["hubs"][0] == {
        "name": "class 17", "count": 200, "expected": pytest.approx(2000 / 30),
    }  # fmt: skip
    assert ranking_analysis.hubness(hub, NAMES)["skewness"] > 3
    assert (
        ranking_analysis.hubness(hub, NAMES)["skewness"]
        > ranking_analysis.hubness(even, NAMES)["skewness"] + 2
    )


def test_without_a_hub_there_is_no_skewness() -> None:
    turns = (np.arange(12)[:, None] + np.arange(3)) % 12  # each label in three of twelve lists
    even = protocol_ranking("seen", np.arange(12), np.arange(12), turns, np.ones(12))
    assert ranking_analysis.hubness(even, NAMES) == {"k": 3, "skewness": 0, "hubs": []}


# Confusions


@pytest.mark.parametrize("protocol", ["unseen", "all_unseen", "seen"])
def test_confusions_equal_counting(protocol: str) -> None:
    model, rows, _, content = diagnosed()
    row, described = rows[protocol], content["confusions"][protocol]
    vectors = model.class_vectors.astype(np.float64)
    counts: dict[tuple[int, int], int] = {}
    ranks = []

    def rank(true: int, answer: int) -> int:
        others = [c for c in row.candidates.tolist() if c != true]
        return sorted(others, key=lambda c: -vectors[c] @ vectors[true]).index(answer) + 1

    for true, ids in zip(row.truth.tolist(), row.neighbours.tolist(), strict=True):
        if ids[0] != true:
            counts[true, ids[0]] = counts.get((true, ids[0]), 0) + 1
            ranks.append(rank(true, ids[0]))
    assert described["median_neighbour"] == np.median(ranks)
    assert described["expected_neighbour"] == len(row.candidates) / 2
    worst = sorted(counts, key=lambda pair: (-counts[pair], pair))[:20]
    assert len(worst) > 5
    assert described["pairs"] == [
        {
            "true": NAMES[true],
            "answer": NAMES[answer],
            "count": counts[true, answer],
            "share": pytest.approx(counts[true, answer] / (row.truth == true).sum()),
            "cosine": pytest.approx(vectors[true] @ vectors[answer]),
            "neighbour": rank(true, answer),
        }
        for true, answer in worst
    ]


def test_the_place_of_a_word_that_two_labels_share() -> None:
    # Labels 1 and 2 have one word, so either may be the nearest to the other: it has rank 1.
    vectors = np.array([[1, 0], [0, 1], [0, 1], [0.6, 0.8]], dtype=np.float32)
    neighbours = np.array([[2, 1], [1, 2]])
    row = protocol_ranking("seen", np.array([1, 2]), np.arange(4), neighbours, np.ones(2))
    pairs = ranking_analysis.confusions(row, NAMES, vectors)["pairs"]
    assert [pair["neighbour"] for pair in pairs] == [1, 1]
    assert [pair["cosine"] for pair in pairs] == [1, 1]


def test_answers_at_random_are_as_far_as_expected() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(30, 12)))
    truth = rng.integers(30, size=3000)
    answers = np.argsort(rng.random((3000, 30)), axis=1)
    described = ranking_analysis.confusions(
        protocol_ranking("seen", truth, np.arange(30), answers, np.ones(3000)), NAMES, vectors
    )
    assert described["median_neighbour"] == pytest.approx(described["expected_neighbour"], abs=1)


def test_a_model_that_is_never_wrong_confuses_nothing() -> None:
    truth = np.array([0, 1, 2])
    row = protocol_ranking("seen", truth, np.arange(3), truth[:, None], np.ones(3))
    assert ranking_analysis.confusions(row, NAMES, np.eye(3, dtype=np.float32)) == {
        "pairs": [], "median_neighbour": None, "expected_neighbour": 1.5,
    }  # fmt: skip


# Similarity


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 40), st.booleans()), min_size=1, max_size=80))
def test_bins_equal_counting(images: list[tuple[int, bool]]) -> None:
    similarity = np.array([s for s, _ in images]) / 40
    hits = [hit for _, hit in images]
    neighbours = np.where(hits, 0, 1)[:, None]
    row = protocol_ranking(
        "seen", np.zeros(len(hits), dtype=int), np.arange(2), neighbours, similarity
    )
    described = calibration_curve(row)
    bins = described["bins"]
    assert sum(b["images"] for b in bins) == len(images)
    assert 1 <= len(bins) <= 10
    assert (bins[0]["lo"], bins[-1]["hi"]) == (similarity.min(), similarity.max())
    error = 0.0
    for i, b in enumerate(bins):
        last = i == len(bins) - 1
        in_bin = [
            (s, hit) for s, hit in zip(similarity.tolist(), hits, strict=True)
            if b["lo"] <= s and (s < b["hi"] or last)
        ]  # fmt: skip
        assert last or b["hi"] == bins[i + 1]["lo"]
        assert b["images"] == len(in_bin) > 0
        right = sum(hit for _, hit in in_bin) / len(in_bin)
        assert b["hit@1"] == pytest.approx(right)
        mean = sum(s for s, _ in in_bin) / len(in_bin)
        error += len(in_bin) / len(hits) * abs(right - mean)
    assert described["error"] == pytest.approx(error)


def test_bins_hold_as_many_images_and_a_calibrated_similarity_has_a_small_error() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.random(4000)
    neighbours = (rng.random(4000) > similarity).astype(int)[:, None]  # right as often as it says
    row = protocol_ranking("seen", np.zeros(4000, dtype=int), np.arange(2), neighbours, similarity)
    described = calibration_curve(row)
    assert {b["images"] for b in described["bins"]} <= {399, 400, 401}
    assert described["error"] < 0.03
    boastful = protocol_ranking("seen", row.truth, row.candidates, neighbours, similarity**0.25)
    assert calibration_curve(boastful)["error"] == pytest.approx(0.8 - 0.5, abs=0.03)
