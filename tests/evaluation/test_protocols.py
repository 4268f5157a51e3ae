"""Protocols beyond the four plain ones, against every score written out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.outputs import method_output
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.metrics.hierarchical import correct_sets
from devise_exp.evaluation.protocol_options import select_protocols
from devise_exp.evaluation.protocols import (
    MethodOutput,
    Protocol,
    standard_protocols,
)
from devise_exp.index.exact import ExactIndex
from devise_exp.text.wordnet.hierarchy import UNPLACED

N = 14
SEEN = np.array([0, 1, 3, 4, 6, 8, 9, 11, 13])
UNSEEN = np.setdiff1d(np.arange(N), SEEN)
OVERLAPPING = np.array([5, 10])
PLAIN = {"seen", "unseen", "all_seen", "all_unseen"}


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def embedded(
    seed: int, name: str = "devise", gamma: float | None = None, noise: float = 1.0
) -> MethodOutput:
    """Unequal numbers of images a class, nearer to their own class's vector and to seen ones."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(N, 6)) + 0.3)

    def images(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.permutation(np.repeat(classes, 2 + classes % 4))
        leaning = vectors[rng.choice(SEEN, size=len(truth))]
        rows = vectors[truth] + leaning + noise * rng.normal(size=(len(truth), 6)) / 2
        return unit(rows), truth

    return method_output(name, vectors, *images(SEEN), *images(UNSEEN), gamma=gamma)


def values_of(*models: MethodOutput, overlapping: Any = None, **options: Any) -> dict[str, float]:
    calibrated = models[0].gamma is not None
    chosen = standard_protocols(SEEN, UNSEEN, overlapping=overlapping, calibrated=calibrated)
    return evaluator.evaluate(models, chosen, ExactIndex, **options).report.values


def ranking(model: MethodOutput, images: str, labels: np.ndarray, gamma: float) -> np.ndarray:
    """Ids of all labels by their scores, those of seen ones lowered, best first."""
    vectors = model.class_vectors.astype(np.float64)
    scores = model.parts[images].vectors.astype(np.float64) @ vectors[labels].T
    scores -= np.where(np.isin(labels, SEEN), gamma, 0)
    return np.asarray(labels[np.argsort(-scores, axis=1)])


def hits(ranked: np.ndarray, truth: np.ndarray, k: int) -> tuple[float, float]:
    """Per image and as the mean over classes."""
    right = [true in row[:k] for row, true in zip(ranked.tolist(), truth.tolist(), strict=True)]
    classes = [np.mean([r for r, t in zip(right, truth, strict=True) if t == c])
               for c in np.unique(truth)]  # fmt: skip
    return float(np.mean(right)), float(np.mean(classes))


# Calibrated stacking


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 999), st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))
def test_calibrated_metrics_equal_the_whole_score_matrix(
    seed: int, gamma: float, other: float
) -> None:
    models = embedded(seed, gamma=gamma), embedded(seed + 1, "conse", gamma=other)
    values = values_of(*models, ks=[1, 2, 5])
    for model, prefix in zip(models, ("", "method/conse/"), strict=True):
        assert model.gamma is not None
        means = []
        for images in ("unseen", "seen"):
            ranked = ranking(model, images, np.arange(N), model.gamma)
            for k in (1, 2, 5):
                name = f"{prefix}calibrated_{images}/hit@{k}"
                expected = hits(ranked, model.parts[images].class_ids, k)
                pair = values[name], values[f"{name}/class_mean"]
                assert pair == pytest.approx(expected, abs=1e-12)
            means.append(values[f"{prefix}calibrated_{images}/hit@1/class_mean"])
        both = 2 * means[0] * means[1] / sum(means) if sum(means) else 0.0
        assert values[f"{prefix}calibrated/H@1"] == pytest.approx(both, abs=1e-12)
        assert values[f"{prefix}calibrated/factor"] == model.gamma


def test_a_gamma_of_0_changes_no_metric_and_a_great_one_leaves_one_side() -> None:
    model = embedded(0, gamma=0.0)
    values = values_of(model)
    for images in ("seen", "unseen"):
        names = [n for n in values if n.startswith(f"all_{images}/")]
        assert len(names) > 20
        for name in names:
            assert values[name.replace("all_", "calibrated_", 1)] == values[name]
    assert values["calibrated/H@1"] == values["all/H@1"]
    values = values_of(replace(model, gamma=9.0))
    assert values["calibrated_seen/hit@1"] == 0
    for name in ("hit@1", "hit@2/class_mean"):
        assert values[f"calibrated_unseen/{name}"] == values[f"unseen/{name}"]
    values = values_of(replace(model, gamma=-9.0))
    assert values["calibrated_unseen/hit@5"] == 0
    assert values["calibrated_seen/hit@3"] == values["seen/hit@3"]


def test_a_method_without_a_gamma_or_a_vector_is_left_out() -> None:
    model, plain = embedded(0, gamma=0.2), embedded(1, "plain")
    vectors = plain.class_vectors.copy()
    vectors[UNSEEN[0]] = 0
    blind = replace(plain, name="blind", class_vectors=vectors, gamma=0.2)
    values = values_of(model, plain, blind, overlapping=OVERLAPPING)

    def answered(name: str) -> set[str]:
        return {n.split("/")[2] for n in values if n.startswith(f"method/{name}/")}

    wide = {"unseen_clean", "unseen_leaked", "all"}
    none = {
        "seen_vs_unseen",
        "known_vs_unknown",
        "known_vs_unknown_seen",
        "known_vs_unknown_unseen",
    }
    assert answered("plain") == PLAIN | wide | none  # "all" has H@1 and AUSUC
    assert answered("blind") == {"seen"}
    assert answered("chance") == (PLAIN | wide | {"calibrated_seen", "calibrated_unseen"}) - {"all"}
    assert "calibrated/H@1" in values
    without = values_of(replace(model, gamma=None), blind)
    assert not [name for name in without if "calibrated" in name]


# Clean and overlapping classes


@pytest.mark.parametrize("seed", range(3))
def test_clean_and_overlapping_metrics_are_those_of_their_images(seed: int) -> None:
    model = embedded(seed)
    values = values_of(model, overlapping=OVERLAPPING)
    ranked = ranking(model, "unseen", UNSEEN, 0)
    total = 0.0
    for name, classes in (("clean", np.setdiff1d(UNSEEN, OVERLAPPING)), ("leaked", OVERLAPPING)):
        counts = np.isin(model.unseen.class_ids, classes)
        for k in (1, 2, 3):
            key = f"unseen_{name}/hit@{k}"
            expected = hits(ranked[counts], model.unseen.class_ids[counts], k)
            assert (values[key], values[f"{key}/class_mean"]) == pytest.approx(expected)
            assert values[f"method/chance/{key}"] == k / len(UNSEEN)  # among all unseen labels
        total += values[f"unseen_{name}/hit@1"] * counts.sum()
    assert total / len(counts) == pytest.approx(values["unseen/hit@1"])
    plain = values_of(model)
    assert {name: values[name] for name in plain} == plain


def test_where_nothing_or_everything_overlaps_there_is_nothing_to_tell_apart() -> None:
    model = embedded(0)
    for overlapping in (None, np.array([], dtype=int)):
        assert not [
            name for name in values_of(model, overlapping=overlapping) if "unseen_" in name[:8]
        ]
    values = values_of(model, overlapping=UNSEEN)
    assert not [name for name in values if "unseen_clean" in name]
    assert values["unseen_leaked/hit@2"] == values["unseen/hit@2"]


def test_neighbours_and_sizes_are_those_of_the_images() -> None:
    model = embedded(0, gamma=0.3)
    chosen = standard_protocols(SEEN, UNSEEN, overlapping=OVERLAPPING, calibrated=True)
    result = evaluator.evaluate([model], chosen, ExactIndex)
    counts = np.isin(model.unseen.class_ids, OVERLAPPING)
    np.testing.assert_array_equal(result.truth["unseen_leaked"], model.unseen.class_ids[counts])
    expected = ranking(model, "unseen", UNSEEN, 0)[counts]
    np.testing.assert_array_equal(result.neighbours["unseen_leaked"], expected)
    assert result.report.n["unseen_leaked"] == (counts.sum(), len(UNSEEN))
    assert result.report.n["calibrated_seen"] == (len(model.seen.vectors), N)
    np.testing.assert_array_equal(
        result.neighbours["calibrated_unseen"], ranking(model, "unseen", np.arange(N), 0.3)[:, :10]
    )


def test_protocols_are_made_as_asked() -> None:
    names = [
        p.name for p in standard_protocols(SEEN, UNSEEN, np.array([N]), True, OVERLAPPING, True)
    ]
    assert names == [
        "seen", "unseen", "all_seen", "all_unseen", "calibrated_seen", "calibrated_unseen",
        "unseen_clean", "unseen_leaked", "extra_seen", "extra_unseen", "train",
    ]  # fmt: skip
    assert {p.name for p in standard_protocols(SEEN, UNSEEN)} == PLAIN
    plain = standard_protocols(SEEN, UNSEEN)
    with pytest.raises(InputError, match=r"calibrated_seen.*choose among seen, unseen, all_seen"):
        select_protocols(plain, ["calibrated_seen"])


# Hierarchical precision


def some_hops(seed: int, unplaced: tuple[int, ...] = ()) -> np.ndarray:
    """Symmetric, with a diagonal of 0 and many ties."""
    hops = np.random.default_rng(seed).integers(1, 5, (N, N)).astype(np.int32)
    hops = np.minimum(hops, hops.T)
    np.fill_diagonal(hops, 0)
    for c in unplaced:
        hops[c] = hops[:, c] = UNPLACED
    return hops


@pytest.mark.parametrize("unplaced", [(), (3,), (2, 6)])
def test_hierarchical_precision_equals_a_slow_one(unplaced: tuple[int, ...]) -> None:
    model, hops = embedded(0, gamma=0.25), some_hops(0, unplaced)
    values = values_of(model, distances=hops, overlapping=OVERLAPPING)
    asked = 0
    for name, images, labels, gamma in (
        ("seen", "seen", SEEN, 0.0),
        ("unseen", "unseen", UNSEEN, 0.0),
        ("all_unseen", "unseen", np.arange(N), 0.0),
        ("calibrated_seen", "seen", np.arange(N), 0.25),
        ("unseen_leaked", "unseen", UNSEEN, 0.0),
    ):
        truth = model.parts[images].class_ids
        kept = ~np.isin(truth, unplaced)
        if name == "unseen_leaked":
            kept &= np.isin(truth, OVERLAPPING)
        ranked = ranking(model, images, labels, gamma)
        for k in (1, 2, 3, 5, 10, 20):
            key = f"{name}/hp@{k}"
            if k > len(set(labels) - set(unplaced)) or k == len(labels):
                assert key not in values
                continue
            shares, by_chance = [], []
            for row, true in zip(ranked[kept], truth[kept], strict=True):
                right = correct_sets(hops, np.array([true]), labels, k)[0]
                shares.append(np.isin(row[:k], labels[right]).mean())
                by_chance.append(right.mean())
            assert values[key] == pytest.approx(np.mean(shares), abs=1e-12)
            assert values[f"method/chance/{key}"] == pytest.approx(np.mean(by_chance), abs=1e-12)
            asked += 1
        if not unplaced:
            assert values[f"{name}/hp@1"] == pytest.approx(values[f"{name}/hit@1"], abs=1e-12)
    assert asked > 15
    assert not [n for n in values_of(model) if "/hp@" in n]  # without a hierarchy there is none


# The index


def test_a_broken_index_shows() -> None:
    class Shuffled(ExactIndex):
        """Right similarities with the ids of other candidates."""

        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            ids, similarities = super().search(queries, k)
            return np.random.default_rng(0).permutation(len(self))[ids], similarities

    rng = np.random.default_rng(1)
    vectors, rows = unit(rng.normal(size=(60, 8))), np.arange(60)
    model = method_output("devise", vectors, vectors[:30], rows[:30], vectors[30:], rows[30:])
    chosen = [
        Protocol(name=f"all_{side}", images=side, candidates=rows) for side in ("seen", "unseen")
    ]
    sound = evaluator.evaluate([model], chosen, ExactIndex).report.values
    broken = evaluator.evaluate([model], chosen, Shuffled).report.values
    assert sound["index/recall@10"] == sound["all_seen/hit@1"] == 1
    assert broken["index/recall@10"] < 0.4  # a random answer has 10 of 60
    assert broken["all_seen/hit@1"] < 0.2
