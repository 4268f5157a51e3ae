"""The metrics of an evaluation against plain loops over raw embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers.outputs import method_output

from devise_exp.core.errors import InputError
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.evaluator import Evaluation
from devise_exp.evaluation.protocol_options import select_protocols
from devise_exp.evaluation.protocols import (
    EmbeddedImages,
    MethodOutput,
    Protocol,
    standard_protocols,
)
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index

SEEN, UNSEEN = np.array([0, 2, 3, 5, 6]), np.array([1, 4, 7])
INDEXES: dict[str, Callable[[np.ndarray], Index]] = {
    "exact": ExactIndex,
    "hnsw": NmslibIndex,
    "brute_force": lambda vectors: NmslibIndex(vectors, method="brute_force"),
}


BOUNDS = ("lo", "hi", "classes_lo", "classes_hi")


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled.astype(np.float32)


def embedded(name: str = "devise", seed: int = 0, noise: float = 1.0, dim: int = 6) -> MethodOutput:
    """Eight classes, of which each image is near its own; unequal numbers of images a class."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(8, dim)))
    counts = {0: 7, 2: 3, 3: 9, 5: 4, 6: 1, 1: 8, 4: 2, 7: 5}

    def images(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.permutation(np.repeat(classes, [counts[c] for c in classes]))
        return unit(vectors[truth] + noise * rng.normal(size=(len(truth), dim))), truth

    return method_output(name, vectors, *images(SEEN), *images(UNSEEN))


def run(
    *models: MethodOutput, index: str = "exact", extra: Any = None, **options: Any
) -> Evaluation:
    chosen = standard_protocols(SEEN, UNSEEN, extra)
    return evaluator.evaluate(models, chosen, INDEXES[index], **options)


def by_hand(model: MethodOutput, images: str, candidates: list[int], k: int) -> tuple[float, float]:
    """(hit@k per image, mean of the classes' hit@k): every cosine, sorted, in plain Python."""
    queries = model.parts[images].vectors.tolist()
    truths = model.parts[images].class_ids.tolist()
    vectors = model.class_vectors.tolist()
    hits: dict[int, list[bool]] = {}
    for query, truth in zip(queries, truths, strict=True):
        cosines = {
            c: sum(a * b for a, b in zip(query, vectors[c], strict=True))
            / math.hypot(*query)
            / math.hypot(*vectors[c])
            for c in candidates
        }
        ranked = sorted(candidates, key=lambda c: -cosines[c])
        hits.setdefault(truth, []).append(truth in ranked[:k])
    everything = [hit for class_hits in hits.values() for hit in class_hits]
    class_means = [sum(row) / len(row) for row in hits.values()]
    return sum(everything) / len(everything), sum(class_means) / len(class_means)


def area_by_hand(model: MethodOutput) -> float:
    """Under the class means of hit@1 among all labels, as seen labels are lowered step by step."""
    sides = [
        ((model.parts[side].vectors @ model.class_vectors.T).tolist(), model.parts[side].class_ids)
        for side in ("seen", "unseen")
    ]
    gaps = sorted(
        max(row[c] for c in SEEN) - max(row[c] for c in UNSEEN) for rows, _ in sides for row in rows
    )
    points = []
    for gamma in [gaps[0] - 1, *((a + b) / 2 for a, b in pairwise(gaps)), gaps[-1] + 1]:
        lowered = [gamma if c in SEEN else 0 for c in range(8)]
        means = []
        for rows, truth in sides:
            hits = np.array([np.argmax(np.subtract(row, lowered)) for row in rows]) == truth
            means.append(np.mean([hits[truth == c].mean() for c in np.unique(truth)]))
        points.append(means)
    return float(sum((u2 - u1) * (s1 + s2) / 2 for (s1, u1), (s2, u2) in pairwise(points)))


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_equals_plain_loops(seed: int) -> None:
    models = embedded(seed=seed), embedded("conse", seed=seed + 100, noise=2.0)
    values = run(*models).report.values
    expected: dict[str, float] = {}
    for model, prefix in zip(models, ("", "method/conse/"), strict=True):
        for protocol, images, candidates in (
            ("seen", "seen", SEEN),
            ("unseen", "unseen", UNSEEN),
            ("all_seen", "seen", np.arange(8)),
            ("all_unseen", "unseen", np.arange(8)),
        ):
            for k in (k for k in (1, 2, 3, 5, 10, 20) if k < len(candidates)):
                name = f"{prefix}{protocol}/hit@{k}"
                metrics = by_hand(model, images, candidates.tolist(), k)
                expected[name], expected[f"{name}/class_mean"] = metrics
                expected[f"method/chance/{protocol}/hit@{k}"] = k / len(candidates)
        u, s = (expected[f"{prefix}all_{i}/hit@1/class_mean"] for i in ("unseen", "seen"))
        expected[f"{prefix}all/H@1"] = 2 * u * s / (u + s)
        expected[f"{prefix}all/AUSUC"] = area_by_hand(model)
    expected["index/recall@10"] = 1.0
    others = {*BOUNDS, "AUROC"}  # whose plain loops are in test_abstention
    points = {name: v for name, v in values.items() if name.rsplit("/", 1)[-1] not in others}
    assert points == pytest.approx(expected, abs=1e-12)
    assert 0 < values["all_unseen/hit@1"] < values["unseen/hit@1"] < 1  # not a trivial case


def test_every_share_has_its_interval_around_it() -> None:
    values = run(embedded()).report.values
    shares = [
        n
        for n in values
        if "/hit@" in n and "chance" not in n and n.rsplit("/", 1)[-1] not in BOUNDS
    ]
    assert len(shares) == 2 * (3 + 2 + 4 + 4)  # per image and per class, ks below the candidates
    for name in shares:
        assert 0 <= values[f"{name}/lo"] <= values[name] <= values[f"{name}/hi"] <= 1
        over_classes = [f"{name}/classes_{bound}" in values for bound in ("lo", "hi")]
        assert over_classes == [name.endswith("class_mean")] * 2
        if name.endswith("class_mean"):
            assert 0 <= values[f"{name}/classes_lo"] <= values[name]
            assert values[name] <= values[f"{name}/classes_hi"] <= 1
    assert values["seen/hit@1/lo"] < values["seen/hit@1"] < values["seen/hit@1/hi"]


def test_the_three_indexes_agree_to_the_last_digit() -> None:
    models = embedded(), embedded("conse", seed=7)
    exact = run(*models)
    for index in ("hnsw", "brute_force"):
        result = run(*models, index=index)
        assert result.report == exact.report
        assert set(result.neighbours) == set(exact.neighbours)
        for name, neighbours in result.neighbours.items():
            np.testing.assert_array_equal(neighbours, exact.neighbours[name])


def test_an_index_that_misses_neighbours_says_so() -> None:
    class Reversed(ExactIndex):
        """Half wrong: the farthest half instead of the nearest."""

        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            ids, similarities = super().search(queries, len(self))
            return ids[:, ::-1][:, :k], similarities[:, ::-1][:, :k]

    rng = np.random.default_rng(0)
    vectors, rows = unit(rng.normal(size=(20, 4))), np.arange(20)
    model = method_output("devise", vectors, vectors, rows, vectors[:1], rows[:1])
    # Ten of twenty from the other end, and all of ten: the worse one counts.
    chosen = [
        Protocol(name="seen", images="seen", candidates=rows),
        Protocol(name="unseen", images="unseen", candidates=rows[:10]),
    ]
    report = evaluator.evaluate([model], chosen, Reversed).report
    assert report.values["index/recall@10"] == 0.0
    assert report.values["seen/hit@10"] == 0.0


def test_neighbours_are_class_ids_best_first() -> None:
    model = embedded()
    neighbours = run(model).neighbours
    assert set(neighbours) == {"seen", "unseen", "all_seen", "all_unseen"}
    similarity = model.unseen.vectors @ model.class_vectors[UNSEEN].T
    expected = UNSEEN[np.argsort(-similarity, axis=1)]
    np.testing.assert_array_equal(neighbours["unseen"], expected)
    similarity = (
        model.seen.vectors @ model.class_vectors.T
    )  # of eight labels the nearest ten are all
    np.testing.assert_array_equal(neighbours["all_seen"], np.argsort(-similarity, axis=1))


def test_a_model_that_cannot_name_a_class_is_left_out_where_it_is_a_candidate() -> None:
    one_hot = np.zeros((8, len(SEEN)), dtype=np.float32)
    one_hot[SEEN] = np.eye(len(SEEN))
    probabilities = unit(np.random.default_rng(3).random((24, len(SEEN))))
    model = embedded()
    none = slice(0, 0)
    softmax = method_output(
        "softmax", one_hot, probabilities, model.seen.class_ids, probabilities[none], SEEN[none]
    )
    values = run(model, softmax).report.values
    protocols = {n.split("/")[2] for n in values if n.startswith("method/softmax/")}
    assert protocols == {"seen"}
    right = SEEN[probabilities.argmax(axis=1)] == model.seen.class_ids
    assert values["method/softmax/seen/hit@1"] == right.mean()
    assert "method/softmax/all/H@1" not in values


def test_extra_labels_give_two_more_protocols_and_change_no_other() -> None:
    model, control = embedded(), embedded("conse", seed=4)
    plain = run(model, control).report.values
    extra = unit(np.random.default_rng(9).normal(size=(15, 6)))
    wide = model.with_labels(extra)
    values = run(wide, control, extra=8 + np.arange(15)).report.values
    assert {name: values[name] for name in plain} == plain
    more = {name.split("/")[0] for name in values if name not in plain}
    assert more == {"extra_seen", "extra_unseen", "method"}
    candidates = list(range(23))
    for images in ("seen", "unseen"):
        metrics = values[f"extra_{images}/hit@3"], values[f"extra_{images}/hit@3/class_mean"]
        assert metrics == pytest.approx(by_hand(wide, images, candidates, 3))
        assert values[f"method/chance/extra_{images}/hit@20"] == 20 / 23
    # A control has no vector for them.
    assert not [name for name in values if name.startswith("method/conse/extra")]
    assert values["extra_unseen/hit@1"] <= values["all_unseen/hit@1"]


def test_ks_null_stops_below_the_number_of_candidates() -> None:
    values = run(embedded()).report.values
    ks = {
        p: {n.split("@")[1].split("/")[0] for n in values if n.startswith(f"{p}/hit")}
        for p in ("seen", "unseen", "all_seen")
    }
    assert ks == {"seen": {"1", "2", "3"}, "unseen": {"1", "2"},
                  "all_seen": {"1", "2", "3", "5"}}  # fmt: skip


def test_what_is_100_for_every_method_is_no_metric() -> None:
    """Among k labels every ranking has the right one among the first k."""
    evaluation = run(embedded(), ks=[1, 3])
    ks = {name: [r.k for r in evaluation.report.records if r.protocol == name and r.metric == "hit"
                 and r.method == "devise" and r.average == "image"]
          for name in ("seen", "unseen")}  # fmt: skip
    assert ks == {"seen": [1, 3], "unseen": [1]}
    single = run(embedded(), ks=3)
    assert "unseen" not in single.report.n
    assert not [name for name in single.report.values if name.startswith("unseen/")]
    assert {"seen/hit@3", "all_unseen/hit@3", "all/AUSUC"} <= set(single.report.values)


@pytest.mark.parametrize(
    ("ks", "words"),
    [
        ([1, 4], ("ks=[1, 4]", "hit@4", "3 candidates of unseen", "between 1 and 3")),
        ([6], ("hit@6", "5 candidates of seen")),
        ([0], ("hit@0", "between 1 and 5")),
        ([True], ("hit@True",)),
        (["a"], ("hit@a",)),
        ([1.5], ("hit@1.5",)),
        ([], ("ks=[]", "is empty")),
        ("1", ("ks=['1']",)),
    ],
)
def test_a_k_that_cannot_be_asked_names_the_protocol_and_its_candidates(
    ks: Any, words: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        run(embedded(), ks=ks)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


def test_the_ks_that_were_asked_are_reported_once_each() -> None:
    one = run(embedded(), ks=[3, 1, 3]).report.values
    assert {n.split("@")[1].split("/")[0] for n in one if "/hit@" in n} == {"1", "3"}
    assert run(embedded(), ks=2).report == run(embedded(), ks=[2]).report
    assert not [name for name in run(embedded(), ks=[2]).report.values if name.endswith("H@1")]


def test_an_image_whose_class_is_no_candidate_is_an_error() -> None:
    wrong = Protocol(name="seen", images="unseen", candidates=SEEN)
    with pytest.raises(InputError, match="no true answer"):
        evaluator.evaluate([embedded()], [wrong], ExactIndex)


def test_every_methods_neighbours_are_kept_to_the_largest_k_in_few_bytes() -> None:
    model, other = embedded(), embedded("other", seed=1)
    result = run(model, other, ks=[1, 2]).neighbours
    assert set(result) == {
        start + protocol.name
        for start in ("", "method/other/")
        for protocol in standard_protocols(SEEN, UNSEEN)
    }
    similarity = other.seen.vectors.astype(np.float64) @ other.class_vectors.T
    best = np.argsort(-similarity, axis=1)[:, :2]
    np.testing.assert_array_equal(result["method/other/all_seen"], best)
    assert {ids.dtype for ids in result.values()} == {np.dtype(np.int16)}


def test_protocols_are_chosen_by_name() -> None:
    available = standard_protocols(SEEN, UNSEEN)
    assert select_protocols(available, None) == available
    assert select_protocols(available, "unseen") == (available[1],)
    # H needs both generalised protocols.
    for names, has_h in ((["all_unseen"], False), (["seen", "all_seen"], False),
                         (["all_seen", "all_unseen"], True)):  # fmt: skip
        chosen = select_protocols(available, names)
        result = evaluator.evaluate([embedded()], chosen, ExactIndex)
        assert set(result.report.n) == set(result.neighbours) == set(names)
        assert ("all/H@1" in result.report.values) is has_h
        assert ("all/AUSUC" in result.report.values) is has_h
    for wrong in (["foo"], ["seen", "extra_seen"], [], "sen"):
        with pytest.raises(InputError, match="choose among seen, unseen, all_seen, all_unseen"):
            select_protocols(available, wrong)


def test_embeddings_and_truths_of_different_number_are_refused() -> None:
    seen = embedded().seen
    with pytest.raises(ValueError, match="differ in number"):
        EmbeddedImages(seen.vectors, seen.class_ids[1:])


def test_a_method_output_needs_seen_and_unseen_images() -> None:
    model = embedded()
    for parts in ({"seen": model.seen}, {**model.parts, "test": model.seen}):
        with pytest.raises(ValueError, match="give seen, unseen, train"):
            replace(model, parts=parts)


def test_a_seen_class_without_a_test_image_is_seen_in_the_trade_off() -> None:
    """Its label is nearest to the unseen image; with seen labels far away the image is right."""
    vectors = unit(np.array([[1, 0, 0], [0, 1, 0], [0, 0.9, 0.1], [0, 0, 1]]))
    seen, unseen = np.array([0, 1]), np.array([2, 3])
    images = vectors[[0]], np.array([0]), unit(np.array([[0, 1.0, 0]])), np.array([2])
    model = method_output("devise", vectors, *images)
    curve = evaluator.evaluate([model], standard_protocols(seen, unseen), ExactIndex).curves
    assert curve["devise"].unseen[[0, -1]].tolist() == [0, 1]
    assert curve["devise"].seen[0] == 1
