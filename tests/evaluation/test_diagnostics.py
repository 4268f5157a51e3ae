"""Diagnostics of a model against hand-worked cases and plain loops over its embeddings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.outputs import method_output
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from devise_exp.evaluation import diagnostics, evaluator, ranking_analysis
from devise_exp.evaluation.diagnostics import Classes, class_map
from devise_exp.evaluation.metrics import calibrated_stacking
from devise_exp.evaluation.metrics.calibrated_stacking import top_answers, tradeoff_curve
from devise_exp.evaluation.protocols import MethodOutput, standard_protocols
from devise_exp.evaluation.ranking_analysis import (
    ProtocolRanking,
    calibration_curve,
    hits_by_class,
    top_similarity,
)
from devise_exp.index.exact import ExactIndex

SEEN, UNSEEN = np.arange(0, 16), np.arange(16, 30)
NAMES = [f"class {c}" for c in range(30)]
CLASSES = Classes(NAMES, [f"word{c}" for c in range(30)], SEEN, UNSEEN, {"class 20": "is wolf"})


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embedded(seed: int = 0) -> MethodOutput:
    """30 classes of which class 9 and class 29 have no image; images near their class vector."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(30, 12)))

    def images(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.permutation(np.repeat(ids, rng.integers(3, 20, size=len(ids))))
        return unit(vectors[truth] + 0.4 * rng.normal(size=(len(truth), 12))), truth

    return method_output("devise", vectors, *images(np.delete(SEEN, 9)), *images(UNSEEN[:-1]))


def ranked(model: MethodOutput, protocol: str, depth: int = 20) -> ProtocolRanking:
    side = protocol.removeprefix("all_")
    candidates = {"seen": SEEN, "unseen": UNSEEN}.get(protocol, np.arange(30))
    images, truth = model.parts[side].vectors, model.parts[side].class_ids
    vectors = model.class_vectors
    found, _ = ExactIndex(vectors[candidates]).search(images, min(depth, len(candidates)))
    ids = candidates[found]
    return ProtocolRanking(protocol, truth, candidates, ids, top_similarity(images, vectors, ids))


def made(protocols: tuple[str, ...] = ("seen", "unseen", "all_seen", "all_unseen")) -> Any:
    model = embedded()
    best = []
    for part in (model.seen, model.unseen):
        lists = [
            (labels[found], scores)
            for labels in (SEEN, UNSEEN)
            for found, scores in [ExactIndex(model.class_vectors[labels]).search(part.vectors, 5)]
        ]
        best.append(top_answers(lists[0], lists[1], part.class_ids))
    curve = tradeoff_curve(*best)
    rows = [ranked(model, name) for name in protocols]
    conse = replace(model, name="conse")
    curves = {"devise": curve, "conse": curve}
    found = diagnostics.diagnose(CLASSES, [model, conse], rows, curves, {"devise": 0.1})
    return model, {r.protocol: r for r in rows}, curve, found


def test_it_is_plain_json_and_repeats() -> None:
    _, _, _, found = made()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert made()[3] == found
    assert list(found) == [
        "methods", "classes", "tradeoff", "hubness", "confusions", "similarity", "map",
    ]  # fmt: skip
    assert found["methods"] == ["devise", "conse"]


def test_each_class_has_its_row() -> None:
    model, rows, _, found = made()
    assert [row["name"] for row in found["classes"]] == NAMES
    for c, row in enumerate(found["classes"]):
        side = "seen" if c in SEEN else "unseen"
        truth = model.parts[side].class_ids
        assert row["seen"] is (side == "seen")
        assert row["images"] == (truth == c).sum()
        assert row["words"] == f"word{c}"
        assert row["leak"] == ("is wolf" if c == 20 else "")
        assert row["calibrated_hit@1"] is None  # not ranked
        for figure, protocol, k in (
            ("hit@1", side, 1), ("hit@5", side, 5), ("all_hit@1", f"all_{side}", 1),
        ):  # fmt: skip
            own = rows[protocol].neighbours[truth == c].tolist()
            expected = sum(c in ids[:k] for ids in own) / len(own) if own else None
            assert row[figure] == (expected if expected is None else pytest.approx(expected))
    assert [row["hit@1"] for row in found["classes"]].count(None) == 2
    calibrated = ProtocolRanking("calibrated_unseen", *list(vars(rows["all_unseen"]).values())[1:])
    table = diagnostics.diagnose(CLASSES, [model], [calibrated], {}, {})["classes"]
    for row, before in zip(table, found["classes"], strict=True):
        assert row["calibrated_hit@1"] == (None if row["seen"] else before["all_hit@1"])
        assert row["hit@1"] is None


def test_the_class_mean_of_the_table_is_the_figure() -> None:
    model, _, _, found = made()
    chosen = standard_protocols(SEEN, UNSEEN)
    values = evaluator.evaluate([model], chosen, ExactIndex).report.values
    for side in ("seen", "unseen"):
        rows = [r for r in found["classes"] if r["seen"] == (side == "seen") and r["images"]]
        for figure, name in (("hit@1", f"{side}/hit@1"), ("hit@5", f"{side}/hit@5"),
                             ("all_hit@1", f"all_{side}/hit@1")):  # fmt: skip
            mean = np.mean([row[figure] for row in rows])
            assert values[f"{name}/class_mean"] == pytest.approx(mean)


def test_a_ranking_that_is_not_deep_enough_gives_no_hit_at_5() -> None:
    truth, neighbours = np.array([3, 4]), np.array([[3, 5, 4], [5, 3, 4]])
    all_of_three = ProtocolRanking("seen", truth, np.array([3, 4, 5]), neighbours, np.ones(2))
    of_more = ProtocolRanking("seen", truth, np.arange(9), neighbours, np.ones(2))
    assert hits_by_class(all_of_three, 5) == {3: 1, 4: 1}
    assert hits_by_class(of_more, 5) == {}
    assert hits_by_class(of_more, 2) == {3: 1, 4: 0}


def test_the_tradeoff_holds_the_curve_and_the_chosen_point() -> None:
    _, _, curve, found = made()
    one = found["tradeoff"]["devise"]
    assert one["ausuc"] == calibrated_stacking.ausuc(curve)
    assert 0.2 < one["ausuc"] < 1
    assert (one["seen"][-1], one["unseen"][0]) == (0, 0)
    height = np.convolve(one["seen"], [0.5, 0.5], "valid")
    trapezoid = (np.diff(one["unseen"]) * height).sum()
    assert trapezoid == pytest.approx(one["ausuc"], abs=0.01)
    seen, unseen = curve.at(0.1)
    assert one["chosen"] == {"factor": 0.1, "seen": seen, "unseen": unseen}
    assert found["tradeoff"]["conse"]["chosen"] is None


# Hubs


@pytest.mark.parametrize("protocol", ["unseen", "all_seen"])
def test_hubness_equals_counting(protocol: str) -> None:
    _, rows, _, found = made()
    row, hubs = rows[protocol], found["hubness"][protocol]
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
    even = ProtocolRanking(
        "seen", np.zeros(200, dtype=int), np.arange(30), neighbours, np.ones(200)
    )
    misses = ~(neighbours == 17).any(axis=1)
    neighbours = neighbours.copy()
    neighbours[misses, 9] = 17  # among the ten nearest of every image
    hub = ProtocolRanking("seen", np.zeros(200, dtype=int), np.arange(30), neighbours, np.ones(200))
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
    even = ProtocolRanking("seen", np.arange(12), np.arange(12), turns, np.ones(12))
    assert ranking_analysis.hubness(even, NAMES) == {"k": 3, "skewness": 0, "hubs": []}


# Confusions


@pytest.mark.parametrize("protocol", ["unseen", "all_unseen", "seen"])
def test_confusions_equal_counting(protocol: str) -> None:
    model, rows, _, found = made()
    row, said = rows[protocol], found["confusions"][protocol]
    vectors = model.class_vectors.astype(np.float64)
    counts: dict[tuple[int, int], int] = {}
    places = []

    def place(true: int, answer: int) -> int:
        others = [c for c in row.candidates.tolist() if c != true]
        return sorted(others, key=lambda c: -vectors[c] @ vectors[true]).index(answer) + 1

    for true, ids in zip(row.truth.tolist(), row.neighbours.tolist(), strict=True):
        if ids[0] != true:
            counts[true, ids[0]] = counts.get((true, ids[0]), 0) + 1
            places.append(place(true, ids[0]))
    assert said["median_neighbour"] == np.median(places)
    assert said["expected_neighbour"] == len(row.candidates) / 2
    worst = sorted(counts, key=lambda pair: (-counts[pair], pair))[:20]
    assert len(worst) > 5
    assert said["pairs"] == [
        {
            "true": NAMES[true],
            "answer": NAMES[answer],
            "count": counts[true, answer],
            "share": pytest.approx(counts[true, answer] / (row.truth == true).sum()),
            "cosine": pytest.approx(vectors[true] @ vectors[answer]),
            "neighbour": place(true, answer),
        }
        for true, answer in worst
    ]


def test_the_place_of_a_word_that_two_labels_share() -> None:
    # Labels 1 and 2 have one word, so either may be the nearest to the other: it has place 1.
    vectors = np.array([[1, 0], [0, 1], [0, 1], [0.6, 0.8]], dtype=np.float32)
    neighbours = np.array([[2, 1], [1, 2]])
    row = ProtocolRanking("seen", np.array([1, 2]), np.arange(4), neighbours, np.ones(2))
    pairs = ranking_analysis.confusions(row, NAMES, vectors)["pairs"]
    assert [pair["neighbour"] for pair in pairs] == [1, 1]
    assert [pair["cosine"] for pair in pairs] == [1, 1]


def test_answers_at_random_are_as_far_as_expected() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(30, 12)))
    truth = rng.integers(30, size=3000)
    answers = np.argsort(rng.random((3000, 30)), axis=1)
    said = ranking_analysis.confusions(
        ProtocolRanking("seen", truth, np.arange(30), answers, np.ones(3000)), NAMES, vectors
    )
    assert said["median_neighbour"] == pytest.approx(said["expected_neighbour"], abs=1)


def test_a_model_that_is_never_wrong_confuses_nothing() -> None:
    truth = np.array([0, 1, 2])
    row = ProtocolRanking("seen", truth, np.arange(3), truth[:, None], np.ones(3))
    assert ranking_analysis.confusions(row, NAMES, np.eye(3, dtype=np.float32)) == {
        "pairs": [], "median_neighbour": None, "expected_neighbour": 1.5,
    }  # fmt: skip


# Similarity


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 40), st.booleans()), min_size=1, max_size=80))
def test_bins_equal_counting(images: list[tuple[int, bool]]) -> None:
    similarity = np.array([s for s, _ in images]) / 40
    hits = [hit for _, hit in images]
    neighbours = np.where(hits, 0, 1)[:, None]
    row = ProtocolRanking(
        "seen", np.zeros(len(hits), dtype=int), np.arange(2), neighbours, similarity
    )
    said = calibration_curve(row)
    bins = said["bins"]
    assert sum(b["images"] for b in bins) == len(images)
    assert 1 <= len(bins) <= 10
    assert (bins[0]["lo"], bins[-1]["hi"]) == (similarity.min(), similarity.max())
    error = 0.0
    for i, b in enumerate(bins):
        last = i == len(bins) - 1
        own = [
            (s, hit) for s, hit in zip(similarity.tolist(), hits, strict=True)
            if b["lo"] <= s and (s < b["hi"] or last)
        ]  # fmt: skip
        assert last or b["hi"] == bins[i + 1]["lo"]
        assert b["images"] == len(own) > 0
        right = sum(hit for _, hit in own) / len(own)
        assert b["hit@1"] == pytest.approx(right)
        error += len(own) / len(hits) * abs(right - sum(s for s, _ in own) / len(own))
    assert said["error"] == pytest.approx(error)


def test_bins_hold_as_many_images_and_a_calibrated_similarity_has_a_small_error() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.random(4000)
    neighbours = (rng.random(4000) > similarity).astype(int)[:, None]  # right as often as it says
    row = ProtocolRanking("seen", np.zeros(4000, dtype=int), np.arange(2), neighbours, similarity)
    said = calibration_curve(row)
    assert {b["images"] for b in said["bins"]} <= {399, 400, 401}
    assert said["error"] < 0.03
    boastful = ProtocolRanking("seen", row.truth, row.candidates, neighbours, similarity**0.25)
    assert calibration_curve(boastful)["error"] == pytest.approx(0.8 - 0.5, abs=0.03)


# The map


def test_the_map_keeps_as_much_as_two_dimensions_can() -> None:
    model, _, _, found = made()
    said = found["map"]
    ids = [c for c in range(30) if c not in (9, 29)]
    images = np.concatenate([model.seen.vectors, model.unseen.vectors]).astype(np.float64)
    truth = np.concatenate([model.seen.class_ids, model.unseen.class_ids])
    words = model.class_vectors.astype(np.float64)
    means = np.array([images[truth == c].mean(axis=0) for c in ids])
    points = np.concatenate([words, means]) - words.mean(axis=0)
    moments, axes = np.linalg.eigh(points.T @ points)
    assert said["explained"] == pytest.approx(moments[-2:].sum() / moments.sum())
    expected = points @ axes[:, :-3:-1]
    places = [entry["word"] for entry in said["classes"]]
    places += [entry["images"] for entry in said["classes"] if entry["images"]]
    np.testing.assert_allclose(np.abs(places), np.abs(expected), atol=1e-6)
    assert np.mean([entry["word"] for entry in said["classes"]], axis=0) == pytest.approx([0, 0])
    assert [entry["name"] for entry in said["classes"]] == NAMES
    assert [entry["seen"] for entry in said["classes"]] == [True] * 16 + [False] * 14
    assert [c for c in range(30) if said["classes"][c]["images"] is None] == [9, 29]


def test_the_map_is_not_mirrored_by_the_order_of_images() -> None:
    model = embedded()
    order = np.random.default_rng(1).permutation(len(model.seen.vectors))
    shuffled = method_output(
        "devise", model.class_vectors, model.seen.vectors[order], model.seen.class_ids[order],
        model.unseen.vectors, model.unseen.class_ids,
    )  # fmt: skip
    one, other = (class_map(CLASSES, m)["classes"] for m in (model, shuffled))
    for a, b in zip(one, other, strict=True):
        assert a["word"] == pytest.approx(b["word"], abs=1e-6)


def test_what_lies_in_a_plane_is_explained_and_where_it_was() -> None:
    vectors = np.array([[3, 0, 0], [-3, 0, 0], [0, 1, 0], [0, -1, 0]]) / 5
    truth = np.arange(2)
    model = method_output("devise", vectors, vectors[:2], truth, vectors[2:], truth + 2)
    classes = Classes(list("abcd"), list("abcd"), truth, truth + 2, {})
    said = class_map(classes, model)
    assert said["explained"] == pytest.approx(1)
    for entry, vector in zip(said["classes"], vectors, strict=True):
        assert entry["word"] == pytest.approx(vector[:2].tolist())
        assert entry["images"] == pytest.approx(entry["word"])


def test_what_does_not_fit_together_is_named() -> None:
    with pytest.raises(ValueError, match="30 names of classes but 29 words"):
        Classes(NAMES, NAMES[1:], SEEN, UNSEEN, {})
    with pytest.raises(ValueError, match="overlaps of unicorn"):
        Classes(NAMES, NAMES, SEEN, UNSEEN, {"unicorn": "is horse"})
    for n, m in ((2, 3), (0, 0)):
        with pytest.raises(ValueError, match="seen: rankings of"):
            ProtocolRanking(
                "seen", np.zeros(n, int), np.arange(3), np.zeros((m, 1), int), np.zeros(n)
            )
