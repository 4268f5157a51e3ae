"""Diagnostics of a model against hand-worked cases and plain loops over its embeddings."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.diagnosed import (
    CLASSES,
    NAMES,
    SEEN,
    UNSEEN,
    diagnosed,
    embedded,
    protocol_ranking,
)
from helpers.outputs import method_output

from devise_exp.evaluation import diagnostics, evaluator
from devise_exp.evaluation.diagnostics import Classes, class_map
from devise_exp.evaluation.metrics import tradeoff
from devise_exp.evaluation.protocols import standard_protocols
from devise_exp.evaluation.ranking_analysis import (
    hits_by_class,
)
from devise_exp.index.exact import ExactIndex


def test_it_is_plain_json_and_repeats() -> None:
    _, _, _, content = diagnosed()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert diagnosed()[3] == content
    assert list(content) == [
        "methods", "classes", "tradeoff", "hubness", "confusions", "similarity", "map",
    ]  # fmt: skip
    assert content["methods"] == ["devise", "conse"]


def test_each_class_has_its_row() -> None:
    model, rows, _, content = diagnosed()
    assert [row["name"] for row in content["classes"]] == NAMES
    for c, row in enumerate(content["classes"]):
        side = "seen" if c in SEEN else "unseen"
        truth = model.parts[side].class_ids
        assert row["seen"] is (side == "seen")
        assert row["images"] == (truth == c).sum()
        assert row["words"] == f"word{c}"
        assert row["leak"] == ("is wolf" if c == 20 else "")
        assert row["calibrated_hit@1"] is None  # not ranked
        for metric, protocol, k in (
            ("hit@1", side, 1), ("hit@5", side, 5), ("all_hit@1", f"all_{side}", 1),
        ):  # fmt: skip
            lists = rows[protocol].neighbours[truth == c].tolist()
            expected = sum(c in ids[:k] for ids in lists) / len(lists) if lists else None
            assert row[metric] == (expected if expected is None else pytest.approx(expected))
    assert [row["hit@1"] for row in content["classes"]].count(None) == 2
    calibrated = replace(rows["all_unseen"], protocol="calibrated_unseen")
    table = diagnostics.diagnose(CLASSES, [model], [calibrated], {}, {})["classes"]
    for row, before in zip(table, content["classes"], strict=True):
        assert row["calibrated_hit@1"] == (None if row["seen"] else before["all_hit@1"])
        assert row["hit@1"] is None


def test_the_class_mean_of_the_table_is_the_figure() -> None:
    model, _, _, content = diagnosed()
    chosen = standard_protocols(SEEN, UNSEEN)
    values = evaluator.evaluate([model], chosen, ExactIndex).report.values
    for side in ("seen", "unseen"):
        rows = [r for r in content["classes"] if r["seen"] == (side == "seen") and r["images"]]
        for metric, name in (("hit@1", f"{side}/hit@1"), ("hit@5", f"{side}/hit@5"),
                             ("all_hit@1", f"all_{side}/hit@1")):  # fmt: skip
            mean = np.mean([row[metric] for row in rows])
            assert values[f"{name}/class_mean"] == pytest.approx(mean)


def test_a_ranking_that_is_not_deep_enough_gives_no_hit_at_5() -> None:
    truth, neighbours = np.array([3, 4]), np.array([[3, 5, 4], [5, 3, 4]])
    all_of_three = protocol_ranking("seen", truth, np.array([3, 4, 5]), neighbours, np.ones(2))
    of_more = protocol_ranking("seen", truth, np.arange(9), neighbours, np.ones(2))
    assert hits_by_class(all_of_three, 5) == {3: 1, 4: 1}
    assert hits_by_class(of_more, 5) == {}
    assert hits_by_class(of_more, 2) == {3: 1, 4: 0}


def test_the_tradeoff_holds_the_curve_and_the_chosen_point() -> None:
    _, _, curve, content = diagnosed()
    one = content["tradeoff"]["devise"]
    assert one["ausuc"] == tradeoff.ausuc(curve)
    assert 0.2 < one["ausuc"] < 1
    assert (one["seen"][-1], one["unseen"][0]) == (0, 0)
    height = np.convolve(one["seen"], [0.5, 0.5], "valid")
    trapezoid = (np.diff(one["unseen"]) * height).sum()
    assert trapezoid == pytest.approx(one["ausuc"], abs=0.01)
    seen, unseen = curve.at(0.1)
    assert one["chosen"] == {"factor": 0.1, "seen": seen, "unseen": unseen}
    assert content["tradeoff"]["conse"]["chosen"] is None


# The map


def test_the_map_keeps_as_much_as_two_dimensions_can() -> None:
    model, _, _, content = diagnosed()
    described = content["map"]
    ids = [c for c in range(30) if c not in (9, 29)]
    images = np.concatenate([model.seen.vectors, model.unseen.vectors]).astype(np.float64)
    truth = np.concatenate([model.seen.class_ids, model.unseen.class_ids])
    words = model.class_vectors.astype(np.float64)
    means = np.array([images[truth == c].mean(axis=0) for c in ids])
    points = np.concatenate([words, means]) - words.mean(axis=0)
    moments, axes = np.linalg.eigh(points.T @ points)
    assert described["explained"] == pytest.approx(moments[-2:].sum() / moments.sum())
    expected = points @ axes[:, :-3:-1]
    coordinates = [entry["word"] for entry in described["classes"]]
    coordinates += [entry["images"] for entry in described["classes"] if entry["images"]]
    np.testing.assert_allclose(np.abs(coordinates), np.abs(expected), atol=1e-6)
    assert np.mean([entry["word"] for entry in described["classes"]], axis=0) == pytest.approx(
        [0, 0]
    )
    assert [entry["name"] for entry in described["classes"]] == NAMES
    assert [entry["seen"] for entry in described["classes"]] == [True] * 16 + [False] * 14
    assert [c for c in range(30) if described["classes"][c]["images"] is None] == [9, 29]


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
    classes = Classes(
        names=list("abcd"), words=list("abcd"), seen=truth, unseen=truth + 2, overlaps={}
    )
    described = class_map(classes, model)
    assert described["explained"] == pytest.approx(1)
    for entry, vector in zip(described["classes"], vectors, strict=True):
        assert entry["word"] == pytest.approx(vector[:2].tolist())
        assert entry["images"] == pytest.approx(entry["word"])


def test_what_does_not_fit_together_is_named() -> None:
    with pytest.raises(ValueError, match="30 names of classes but 29 words"):
        replace(CLASSES, names=NAMES, words=NAMES[1:])
    with pytest.raises(ValueError, match="overlaps of unicorn"):
        replace(CLASSES, overlaps={"unicorn": "is horse"})
    for n, m in ((2, 3), (0, 0)):
        with pytest.raises(ValueError, match="seen: rankings of"):
            protocol_ranking(
                "seen", np.zeros(n, int), np.arange(3), np.zeros((m, 1), int), np.zeros(n)
            )
