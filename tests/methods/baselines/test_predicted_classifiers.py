"""Predicted classifiers against a slow solution with libraries' own parts, and by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.baselines import folds_of, planted, slow_area, unit, unseen_hit
from scipy.spatial.distance import cdist
from sklearn.kernel_ridge import KernelRidge

from devise_exp.methods.baselines import PredictedClassifiers
from devise_exp.methods.baselines.discriminants import discriminant_analysis
from devise_exp.methods.method import FittedMethod
from devise_exp.methods.selection import fit_method
from devise_exp.methods.task import SelectionError, Task

NAMES = ("shrinkage", "tau", "ridge")


def slow_discriminants(task: Task, shrinkage: float) -> np.ndarray:
    """(S, d) by the inverse of the covariance, in double precision."""
    rows = task.features[task.train].astype(np.float64)
    targets = task.targets(task.train)
    means = np.array([rows[targets == c].mean(axis=0) for c in range(len(task.seen))])
    within = np.zeros((rows.shape[1], rows.shape[1]))
    for row, target in zip(rows, targets, strict=True):
        within += np.outer(row - means[target], row - means[target]) / len(rows)
    flat = np.trace(within) / len(within) * np.eye(len(within))
    inverse = np.linalg.inv((1 - shrinkage) * within + shrinkage * flat)
    return np.array([inverse @ (mean - rows.mean(axis=0)) for mean in means])


def slow(task: Task, shrinkage: float, tau: float, ridge: float) -> SimpleNamespace:
    seen, known = task.class_vectors[task.seen], task.pretraining
    weights = unit(slow_discriminants(task, shrinkage))
    vectors, centre = seen, seen.mean(axis=0)
    if known is not None:
        centre = known.vectors.mean(axis=0)
        vectors = np.concatenate([known.vectors, seen])
        weights = np.concatenate([unit(known.weight - known.weight.mean(axis=0)), weights])

    def kernel(rows: np.ndarray) -> np.ndarray:
        distances: np.ndarray = cdist(rows - centre, vectors - centre, "cosine")
        return np.exp(-distances / tau)

    regression = KernelRidge(alpha=ridge, kernel="precomputed").fit(kernel(vectors), weights)
    middle = task.features[task.train].astype(np.float64).mean(axis=0)
    return SimpleNamespace(
        class_vectors=unit(regression.predict(kernel(task.class_vectors))),
        embed=lambda rows: unit(rows - middle),
    )


def fitted(task: Task, *values: float) -> FittedMethod:
    return PredictedClassifiers().fit(task, dict(zip(NAMES, values, strict=True)))


def with_values(*values: float) -> PredictedClassifiers:
    shrinkage, tau, ridge = values
    return PredictedClassifiers(shrinkages=[shrinkage], taus=[tau], ridges=[ridge])


@pytest.mark.parametrize("values", [(0.1, 0.15, 0.3), (1.0, 1.0, 3.0), (0.01, 0.3, 0.01)])
@pytest.mark.parametrize("pretraining", [True, False])
def test_it_is_what_a_slow_solution_gives(
    values: tuple[float, float, float], pretraining: bool
) -> None:
    task = planted(noise=0.3, seed=3)
    task = task if pretraining else replace(task, pretraining=None)
    result, expected = fitted(task, *values), slow(task, *values)
    rows = task.features[task.val]
    np.testing.assert_allclose(result.embed(rows), expected.embed(rows), atol=1e-4)
    np.testing.assert_allclose(result.class_vectors, expected.class_vectors, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(result.class_vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("n", [9, 15, 17, 200])
def test_discriminants_need_no_more_images_than_there_are(n: int) -> None:
    # Below the width of the features (16) the covariance has no inverse without its shrinkage.
    task = planted(noise=0.3, seed=1)
    rows = task.train[np.isin(task.class_ids[task.train], task.seen[:4])][:n]
    few = replace(task, seen=np.unique(task.class_ids[rows]), train=rows)
    analysis = discriminant_analysis(few.features[rows], few.targets(rows), len(few.seen))
    for shrinkage in (0.05, 0.5, 1.0):
        expected = slow_discriminants(few, shrinkage)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(analysis.weights(shrinkage) / scale, expected / scale, atol=1e-3)


def test_two_classes_of_one_word_each_by_hand() -> None:
    # One seen class per axis, no spread within classes but on the third axis: the discriminants
    # are the differences of the means. Words at right angles about their mean have the kernel
    # exp(-2 / tau) between them, so each class leans a little to the other.
    features = np.array([[2, 0, 1], [2, 0, -1], [0, 2, 1], [0, 2, -1]], dtype=np.float32)
    analysis = discriminant_analysis(features, np.array([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(analysis.centre, [1, 1, 0])
    np.testing.assert_allclose(analysis.spectrum, [1])
    assert analysis.mean_eigenvalue == pytest.approx(1 / 3)
    # (0.5 Sw + 0.5 / 3 I)^-1 is 6 on the first two axes.
    np.testing.assert_allclose(analysis.weights(0.5), [[6, -6, 0], [-6, 6, 0]], rtol=1e-5)


def test_one_image_of_each_class_weighs_all_features_alike() -> None:
    features = np.array([[2, 0], [0, 2], [4, 4]], dtype=np.float32)
    analysis = discriminant_analysis(features, np.arange(3), 3)
    np.testing.assert_array_equal(analysis.weights(0.5), features - 2)


def test_unseen_classes_are_named_by_what_was_learned_of_seen_ones() -> None:
    task = planted(noise=0.05, seed=2)
    # The pretraining's weights are random there, so only those of seen classes help.
    alone = with_values(0.5, 1.0, 0.01).fit(replace(task, pretraining=None))
    assert unseen_hit(alone, task) > 0.7  # chance is 1 in 8


def test_the_pretraining_teaches_more_classes() -> None:
    task = planted(noise=0.3, seed=0)
    known = task.pretraining
    assert known is not None
    # A pretraining whose rows follow from words as those of the seen classes do.
    rows = np.isin(task.class_ids, np.concatenate([task.seen, task.unseen]))
    means = np.array(
        [task.features.features[rows & (task.class_ids == c)].mean(axis=0) for c in range(38)]
    )
    relation = np.linalg.lstsq(task.class_vectors, means - means.mean(axis=0), rcond=None)[0]
    taught = replace(task, pretraining=replace(known, weight=known.vectors @ relation))
    method = with_values(0.5, 0.5, 0.1)
    few = replace(taught, seen=taught.seen[:6])
    few = replace(few, train=few.train[np.isin(few.class_ids[few.train], few.seen)])
    without = unseen_hit(method.fit(replace(few, pretraining=None)), few)
    assert unseen_hit(method.fit(few), few) > without + 0.2


def test_the_choice_is_what_a_brute_force_grid_gives() -> None:
    task = planted(noise=0.5, seed=5)
    folds, method = folds_of(task), PredictedClassifiers(shrinkages=(0.1, 0.9), ridges=(0.01, 10.0))
    result = fit_method(method, task, folds)
    grid = method.combinations()
    areas = [
        np.mean([slow_area(slow(f.task, *values.values()), task, f) for f in folds])
        for values in grid
    ]
    best = int(np.round(areas, 6).argmax())
    assert {name: result.hyperparameters[name] for name in NAMES} == grid[best]
    assert result.hyperparameters["rehearsal/AUSUC"] == pytest.approx(areas[best], abs=1e-6)
    assert areas[best] > 1.05 * min(areas)  # there is something to choose


def test_rows_of_unseen_classes_are_not_asked_for() -> None:
    task = planted()
    opened = replace(task.features, open=np.isin(np.arange(len(task.class_ids)), task.train))
    fitted(replace(task, features=opened), 0.5, 0.15, 0.3)  # training rows are enough
    with pytest.raises(SelectionError):
        fitted(replace(task, train=np.flatnonzero(np.isin(task.class_ids, task.unseen))), 1, 1, 1)
