"""What is chosen on class folds against brute force, and that nothing else has a say in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from devise_exp.methods import devise_model, selection
from devise_exp.methods.additions import SEEN_COST
from devise_exp.methods.baselines import (
    ESZSL,
    ClassifierShares,
    ConSEPretraining,
    DeviseWithoutPrior,
    Majority,
    PredictedClassifiers,
    Prototypes,
)
from devise_exp.methods.devise_model import cached_per_task
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.method import CalibratedMethod, FittedMethod, FunctionMethod, Method
from devise_exp.methods.prior import PretrainedClassifier, Prior, priors
from devise_exp.methods.task import ClassFold, GuardedFeatures, Task, class_fold

N_SEEN, N_UNSEEN, DIM, FEATURE_DIM = 12, 3, 5, 8
WEIGHTS = (0.3, 1.0, 3.0)


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def synthetic(seed: int, known_noise: float = 0.3, images: int = 9) -> Task:
    """Features that are a noisy linear map of the class vectors; the pretraining's classifier knows
    that map but for `known_noise`. A third of the images of a seen class are for validation, the
    first is closed, as are all of unseen classes.
    """
    rng = np.random.default_rng(seed)
    n = N_SEEN + N_UNSEEN
    vectors = unit(rng.normal(size=(n, DIM)))
    ids = np.tile(rng.permutation(n), images)
    relation = rng.normal(size=(DIM, FEATURE_DIM))
    features = vectors[ids] @ relation + rng.normal(size=(len(ids), FEATURE_DIM))
    seen = np.sort(rng.permutation(n)[:N_SEEN])
    turn, is_seen = np.arange(len(ids)) // n, np.isin(ids, seen)
    parts = {
        "train": np.flatnonzero(is_seen & (turn % 3 > 0)),
        "val": np.flatnonzero(is_seen & (turn % 3 == 0) & (turn > 0)),
    }
    opened = np.zeros(len(ids), dtype=bool)
    opened[np.concatenate(list(parts.values()))] = True
    categories = unit(rng.normal(size=(25, DIM)))
    classifier = 4 * categories @ np.linalg.pinv(relation).T
    classifier += known_noise * rng.normal(size=classifier.shape)
    known = PretrainedClassifier(
        tuple(f"category {i}" for i in range(25)),
        classifier.astype(np.float32),
        np.zeros(25, dtype=np.float32),
        categories,
    )
    unseen = np.setdiff1d(np.arange(n), seen)
    guarded = GuardedFeatures(features.astype(np.float32), opened)
    return Task(
        features=guarded, class_ids=ids, class_vectors=vectors, seen=seen, unseen=unseen,
        **parts, seed=seed, pretraining=known,
    )  # fmt: skip


def folds_of(task: Task, n: int = 2) -> list[ClassFold]:
    """Each holds out three other seen classes, and one category."""
    return [class_fold(task, task.seen[3 * i : 3 * i + 3], {f"category {i}"}) for i in range(n)]


def ridge(task: Task) -> nn.Module:
    """A projection trained on the training rows alone."""
    x, y = task.features[task.train], task.class_vectors[task.class_ids[task.train]]
    weight = np.linalg.solve(x.T @ x + 30 * np.eye(x.shape[1]), x.T @ y)
    layer = nn.Linear(*weight.shape, bias=False)
    layer.weight.data = torch.from_numpy(weight.T.astype(np.float32))
    return layer


some_priors = partial(priors, weights=WEIGHTS, temperature=1.5, top=6)


def devise(task: Task, folds: Sequence[ClassFold]) -> tuple[CalibratedMethod, Prior | None]:
    method, trained = devise_model.devise(ridge(task), ridge, some_priors, None, task, folds)
    assert trained.classifiers is None
    return method, trained.prior


# Brute force


def cosines(images: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    images, vectors = images.astype(np.float64), vectors.astype(np.float64)
    lengths = np.linalg.norm(images, axis=1)[:, None] * np.linalg.norm(vectors, axis=1)
    return np.asarray(images @ vectors.T / lengths)


def stretches(
    images: tuple[np.ndarray, np.ndarray], truths: tuple[np.ndarray, np.ndarray],
    vectors: np.ndarray, seen: np.ndarray, unseen: np.ndarray,
) -> tuple[list[float], list[tuple[float, float]]]:  # fmt: skip
    """The gammas at which an answer changes, and the two class means before, between and after
    them, from the whole score matrix at a gamma within each stretch.
    """
    scores = [cosines(rows, vectors) for rows in images]
    gaps = [s[:, seen].max(axis=1) - s[:, unseen].max(axis=1) for s in scores]
    edges = sorted(set(np.concatenate(gaps).tolist()))
    within = [edges[0] - 1, *((a + b) / 2 for a, b in pairwise(edges))]
    within.append(edges[-1] + 1)
    labels = np.concatenate([seen, unseen])
    means = []
    for gamma in within:
        both = []
        for score, truth in zip(scores, truths, strict=True):
            lowered = score[:, labels] - gamma * np.isin(labels, seen)
            right = labels[lowered.argmax(axis=1)] == truth
            both.append(float(np.mean([right[truth == c].mean() for c in np.unique(truth)])))
        means.append((both[0], both[1]))
    return edges, means


def slow_area(means: list[tuple[float, float]]) -> float:
    return sum((u2 - u1) * (s1 + s2) / 2 for (s1, u1), (s2, u2) in pairwise(means))


def slow_gamma(edges: list[float], means: list[tuple[float, float]]) -> float:
    """The middle of the widest stretch of gammas with the greatest H."""
    h = [2 * s * u / (s + u) if s + u else 0.0 for s, u in means]
    if max(h) == 0:
        return 0.0
    at_best = [value >= max(h) - 1e-9 for value in h]
    starts = [i for i, best in enumerate(at_best) if best and not at_best[i - 1]]
    result = []
    for start in starts:
        end = at_best.index(False, start) - 1  # the last stretch is at 0
        low, high = edges[start - 1], edges[end]
        result.append((high - low, (low + high) / 2))
    return max(result)[1]


def on_fold(task: Task, item: ClassFold, fitted: FittedMethod) -> Any:
    rows = item.seen_rows, item.unseen_rows
    bank = task.features.features
    images = fitted.embed(bank[rows[0]]), fitted.embed(bank[rows[1]])
    truths = task.class_ids[rows[0]], task.class_ids[rows[1]]
    return stretches(images, truths, fitted.class_vectors, item.task.seen, item.task.unseen)


def slow_devise(task: Task, folds: Sequence[ClassFold]) -> tuple[float, float, float, float]:
    """(weight, gamma, area, seen) of the best of all weights, no prior being weight 0."""
    result = []
    for weight in (0.0, *WEIGHTS):
        area = seen = gamma = 0.0
        for item in folds:
            layer = ridge(item.task).weight.detach().numpy()
            assert item.task.pretraining is not None
            prior = Prior(item.task.pretraining, weight, 1.5, 6)

            def embed(x: np.ndarray, layer: np.ndarray = layer, prior: Prior = prior) -> np.ndarray:
                return unit(unit(x @ layer.T) + prior.strength * prior.directions(x))

            edges, means = on_fold(task, item, FittedMethod(task.class_vectors, embed))
            area += slow_area(means) / len(folds)
            seen += means[0][0] / len(folds)
            gamma += slow_gamma(edges, means) / len(folds)
        result.append((weight, gamma, area, seen))
    able = [item for item in result if item[3] >= result[0][3] - SEEN_COST - 1e-12]
    return max(able, key=lambda item: (round(item[2], 9), -item[0]))


def test_the_prior_and_its_gamma_are_those_of_brute_force() -> None:
    weights = set()
    for seed in range(14):
        task = synthetic(seed, known_noise=0.2 + seed % 3)
        folds = folds_of(task, 1 + seed % 3)
        first, prior = devise(task, folds)
        weight, gamma, area, seen = slow_devise(task, folds)
        assert (prior.strength if prior else 0.0) == weight
        assert first.gamma_spread is not None
        assert np.mean(first.gamma_spread.per_fold) == pytest.approx(gamma, abs=1e-5)
        assert first.fitted.hyperparameters == pytest.approx(
            {"prior/weight": weight, "rehearsal/seen": seen, "rehearsal/AUSUC": area}, abs=1e-6
        )
        if prior is not None:
            assert prior.pretraining is task.pretraining  # of the whole task, not of a class fold
        weights.add(weight)
    assert len(weights) >= 3  # not a trivial choice


def test_a_prior_that_costs_seen_hits_is_not_chosen() -> None:
    """Even where the area under the curve is larger."""
    refused = 0
    for seed in range(14):
        task = synthetic(seed, known_noise=0.2 + seed % 3)
        folds = folds_of(task)
        first, _ = devise(task, folds)
        method, without = devise_model.devise(ridge(task), ridge, None, None, task, folds)
        assert without.prior is None
        bare = method.fitted.hyperparameters
        about = first.fitted.hyperparameters
        assert about["rehearsal/seen"] >= bare["rehearsal/seen"] - SEEN_COST - 1e-12
        assert about["rehearsal/AUSUC"] >= bare["rehearsal/AUSUC"]
        free = max(_areas(task, folds))
        refused += free > about["rehearsal/AUSUC"] + 1e-9
    assert refused > 0


def _areas(task: Task, folds: Sequence[ClassFold]) -> list[float]:
    """Of every weight, whatever it costs."""
    result = []
    for weight in WEIGHTS:
        areas = []
        for item in folds:
            assert item.task.pretraining is not None
            prior = Prior(item.task.pretraining, weight, 1.5, 6)
            fitted = FittedMethod(task.class_vectors, TrainedProjection(ridge(item.task), prior))
            areas.append(slow_area(on_fold(task, item, fitted)[1]))
        result.append(float(np.mean(areas)))
    return result


SHARES = (0.2, 0.5)


def slow_additions(task: Task, folds: Sequence[ClassFold]) -> dict[tuple[float, float], Any]:
    """(area, seen) by the prior's weight and the classifiers' share, from longer vectors."""
    grid = PredictedClassifiers(shrinkages=[0.5], taus=[0.3], ridges=[1.0])
    result = {}
    for weight in (0.0, *WEIGHTS):
        for share in (0.0, *SHARES):
            area = seen = 0.0
            for item in folds:
                assert item.task.pretraining is not None
                prior = Prior(item.task.pretraining, weight, 1.5, 6)
                map_ = TrainedProjection(ridge(item.task), prior)
                fitted = FittedMethod(task.class_vectors, map_)
                if share:
                    other = grid.fit(item.task)
                    fitted = side_by_side(fitted, other, share)
                means = on_fold(task, item, fitted)[1]
                area += slow_area(means) / len(folds)
                seen += means[0][0] / len(folds)
            result[weight, share] = (area, seen)
    return result


def side_by_side(first: FittedMethod, second: FittedMethod, share: float) -> FittedMethod:
    def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a * np.sqrt(1 - share), b * np.sqrt(share)], axis=1)

    vectors = joined(first.class_vectors, second.class_vectors)
    return FittedMethod(vectors, lambda x: joined(first.embed(x), second.embed(x)))


def test_the_additions_are_those_of_brute_force() -> None:
    chosen = set()
    for seed in range(8):
        task = synthetic(seed, known_noise=0.2 + seed % 3)
        folds = folds_of(task, 1 + seed % 2)
        shares = ClassifierShares(shares=SHARES, shrinkages=[0.5], taus=[0.3], ridges=[1.0])
        first, trained = devise_model.devise(ridge(task), ridge, some_priors, shares, task, folds)
        slow = slow_additions(task, folds)
        able = {k: v for k, v in slow.items() if v[1] >= slow[0, 0][1] - SEEN_COST - 1e-12}
        best = max(round(area, 6) for area, _ in able.values())
        about = first.fitted.hyperparameters
        pair = about["prior/weight"], about["classifiers/share"]
        assert able[pair][0] == pytest.approx(best, abs=2e-6)
        assert about["rehearsal/AUSUC"] == pytest.approx(best, abs=2e-6)
        assert (trained.prior.strength if trained.prior else 0.0) == pair[0]
        assert (trained.classifiers.share if trained.classifiers else 0.0) == pair[1]
        # The method is what those vectors say, fitted to the whole task.
        rows = task.features[task.val]
        plain = TrainedProjection(ridge(task), trained.prior)
        expected = FittedMethod(task.class_vectors, plain)
        if trained.classifiers:
            whole = PredictedClassifiers(shrinkages=[0.5], taus=[0.3], ridges=[1.0]).fit(task)
            expected = side_by_side(expected, whole, pair[1])
        cosine = first.fitted.embed(rows) @ first.fitted.class_vectors.T
        np.testing.assert_allclose(
            cosine, expected.embed(rows) @ expected.class_vectors.T, atol=1e-5
        )
        chosen.add(pair)
    assert len({share for _, share in chosen}) == 3  # none, and both


def test_the_trained_map_embeds_with_its_prior() -> None:
    task = synthetic(2)
    first, prior = devise(task, folds_of(task))
    assert prior is not None
    rows = task.features[task.val]
    plain = unit(rows @ ridge(task).weight.detach().numpy().T)
    np.testing.assert_allclose(first.fitted.embed(rows), prior.apply(plain, rows), atol=1e-5)
    assert np.abs(first.fitted.embed(rows) - plain).max() > 0.1


def test_without_a_class_fold_nothing_is_chosen() -> None:
    task = synthetic(0)
    first, prior = devise(task, [])
    assert (first.gamma, prior, first.fitted.hyperparameters) == (None, None, {})
    rows = task.features[task.val]
    expected = unit(rows @ ridge(task).weight.detach().numpy().T)
    np.testing.assert_allclose(first.fitted.embed(rows), expected, atol=1e-6)
    assert selection.calibrate(ESZSL(), task, []).gamma is None


def test_without_a_pretraining_a_gamma_is_chosen_and_no_prior() -> None:
    task = replace(synthetic(0), pretraining=None)
    first, prior = devise(task, folds_of(task))
    assert prior is None
    assert first.gamma is not None
    assert first.fitted.hyperparameters["prior/weight"] == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_methods_gamma_is_the_mean_of_scans_on_each_class_fold(n: int) -> None:
    for seed in range(3):
        task = synthetic(seed)
        folds = folds_of(task, n)
        method = DeviseWithoutPrior(project=ridge)
        result = selection.calibrate(method, task, folds)
        scans = [slow_gamma(*on_fold(task, item, method.fit(item.task))) for item in folds]
        assert result.gamma_spread is not None
        assert result.gamma_spread.per_fold == pytest.approx(scans, abs=1e-5)
        # One rule for all: the trained model's, where it has no prior either.
        bare, _ = devise_model.devise(ridge(task), ridge, None, None, task, folds)
        assert bare.gamma == pytest.approx(result.gamma, abs=1e-6)


def test_a_method_chooses_its_hyperparameters_for_each_gamma_on_the_other_class_folds() -> None:
    task = synthetic(1)
    folds = folds_of(task, 3)
    given: list[tuple[Task, list[ClassFold]]] = []

    def watched(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
        given.append((task, list(folds)))
        return selection.fit_method(ESZSL(), task, folds)

    selection.calibrate(FunctionMethod(name="watched", function=watched), task, folds)
    assert given[0] == (task, folds)
    assert [inner for inner, _ in given[1:]] == [item.task for item in folds]
    for inner, others in given[1:]:
        held_out = set(inner.unseen.tolist())
        outers = [item for item in folds if item.task is not inner]
        assert inner.pretraining is not None
        for item, outer in zip(others, outers, strict=True):
            assert item.task.unseen.tolist() == outer.task.unseen.tolist()
            gone = held_out | set(outer.task.unseen.tolist())
            assert set(item.task.seen.tolist()) == set(task.seen.tolist()) - gone
            rows = np.concatenate([item.seen_rows, item.unseen_rows, item.task.train])
            assert not held_out & set(task.class_ids[rows].tolist())
            assert outer.task.pretraining is not None
            assert item.task.pretraining is not None
            both = set(inner.pretraining.categories) & set(outer.task.pretraining.categories)
            assert set(item.task.pretraining.categories) == both


@pytest.mark.parametrize("method", [Prototypes(), Majority()])
def test_a_method_that_names_no_unseen_class_gets_no_gamma(method: Method) -> None:
    task = synthetic(0)
    assert selection.calibrate(method, task, folds_of(task)).gamma is None


def test_a_task_is_trained_on_once() -> None:
    task = synthetic(0)
    trained: list[Task] = []

    def counted(task: Task) -> nn.Module:
        trained.append(task)
        return ridge(task)

    whole = ridge(task)
    project = cached_per_task(counted, {task: whole})
    folds = folds_of(task)
    devise_model.devise(whole, project, some_priors, None, task, folds)
    selection.calibrate(DeviseWithoutPrior(project=project), task, folds)
    assert project(task) is whole
    assert trained == [item.task for item in folds]


def test_closed_rows_have_no_say_in_what_is_chosen() -> None:
    task = synthetic(2)
    closed = ~task.features.open
    features, ids = task.features.features.copy(), task.class_ids.copy()
    features[closed] = np.nan
    ids[closed] = np.roll(ids[closed], 3)
    spoilt = replace(task, features=replace(task.features, features=features), class_ids=ids)
    rows = task.features[task.val]
    result = []
    for item in (task, spoilt):
        first, prior = devise(item, folds_of(item))
        assert prior is not None
        others = [
            selection.calibrate(method, item, folds_of(item))
            for method in (ESZSL(), ConSEPretraining())
        ]
        embeddings = [fit.fitted.embed(rows).tobytes() for fit in (first, *others)]
        chosen = [(fit.gamma, fit.fitted.hyperparameters) for fit in (first, *others)]
        result.append((prior.strength, chosen, embeddings))
    assert result[0] == result[1]
    assert all(gamma is not None for gamma, _ in result[0][1])
