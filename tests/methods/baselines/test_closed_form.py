"""Closed forms against slow solutions in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
from helpers.baselines import ALL, folds_of, planted, problem, slow_area, unit

from devise_exp.methods.baselines import SAE
from devise_exp.methods.baselines.closed_form import REGULARISERS, _moments
from devise_exp.methods.method import FittedMethod
from devise_exp.methods.selection import fit_method
from devise_exp.methods.task import Task


def mean_eigenvalue(matrix: np.ndarray) -> float:
    return float(np.linalg.eigvalsh(matrix).mean())


def slow_eszsl(task: Task, gamma: float, weight: float) -> np.ndarray:
    """V (d, a): the normal equations of the objective as one Kronecker system."""
    p = problem(task)
    gram, spread = p.X.T @ p.X, p.S.T @ p.S
    gamma, weight = gamma * mean_eigenvalue(gram), weight * mean_eigenvalue(spread)
    left = gram + gamma * np.eye(len(gram))
    right = spread + weight * np.eye(len(spread))
    solved = np.linalg.solve(np.kron(left, right), (p.X.T @ p.Y @ p.S).ravel())
    return solved.reshape(len(gram), len(spread))


def slow_sae(task: Task, weight: float) -> np.ndarray:
    """W' (d, a) by a Kronecker system."""
    p = problem(task)
    a, b = p.T.T @ p.T, p.X.T @ p.X
    b, weight = _relative(a, b, weight)
    c = (1 + weight) * p.T.T @ p.X
    system = np.kron(a, np.eye(len(b))) + np.kron(np.eye(len(a)), b)
    return np.linalg.solve(system, c.ravel()).reshape(len(a), len(b)).T


def _relative(a: np.ndarray, b: np.ndarray, weight: float) -> tuple[np.ndarray, float]:
    weight = weight * mean_eigenvalue(a) / mean_eigenvalue(b)
    return weight * b, weight


def slow_mapped(solve: Callable[..., np.ndarray], task: Task, *weights: float) -> SimpleNamespace:
    """What the slow solution of a linear map makes of images and classes."""
    weights_of_map, centre = solve(task, *weights), problem(task).centre
    return SimpleNamespace(
        class_vectors=task.class_vectors,
        embed=lambda rows: unit((unit(rows) - centre) @ weights_of_map),
    )


def slow_ridge(task: Task, alpha: float) -> SimpleNamespace:
    """Least squares on augmented rows: the penalty as further equations, the offset as a column."""
    features, targets = unit(task.features[task.train]), task.targets(task.train)
    means = np.array([features[targets == c].mean(axis=0) for c in range(len(task.seen))])
    vectors = task.class_vectors.astype(np.float64)
    seen = vectors[task.seen]
    about = seen - seen.mean(axis=0)
    penalty = math.sqrt(alpha * mean_eigenvalue(about.T @ about)) * np.eye(seen.shape[1])
    rows = np.block([[seen, np.ones((len(seen), 1))], [penalty, np.zeros((len(penalty), 1))]])
    values = np.concatenate([means, np.zeros((len(penalty), means.shape[1]))])
    solved = np.linalg.lstsq(rows, values, rcond=None)[0]
    return SimpleNamespace(class_vectors=unit(vectors @ solved[:-1] + solved[-1]), embed=unit)


SLOW: dict[str, Callable[..., SimpleNamespace]] = {
    "eszsl": lambda task, *weights: slow_mapped(slow_eszsl, task, *weights),
    "sae": lambda task, *weights: slow_mapped(slow_sae, task, *weights),
    "ridge_to_features": slow_ridge,
}


def fit_by_values(name: str, task: Task, *values: float) -> FittedMethod:
    """Fit with the values of the hyperparameters in the order of the method's grid."""
    return ALL[name].fit(task, dict(zip(ALL[name].param_grid, values, strict=True)))


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("weight", [0.01, 1.0, 30.0])
def test_a_closed_form_is_what_a_slow_solution_gives(name: str, weight: float) -> None:
    task = planted(noise=0.3, seed=3)
    weights = (weight, 2.0) if name == "eszsl" else (weight,)
    fitted, slow = fit_by_values(name, task, *weights), SLOW[name](task, *weights)
    rows = task.features[task.val]
    np.testing.assert_allclose(fitted.embed(rows), slow.embed(rows), atol=2e-4)
    np.testing.assert_allclose(fitted.class_vectors, slow.class_vectors, atol=2e-4)


def slope(objective: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Central differences; exact for a quadratic, up to rounding."""
    result = np.empty_like(at)
    for folder in np.ndindex(*at.shape):
        step = np.zeros_like(at)
        step[folder] = 1e-3
        result[folder] = (objective(at + step) - objective(at - step)) / 2e-3
    return result


def test_the_slow_solutions_are_where_the_objectives_are_least() -> None:
    task = planted(noise=0.3, seed=4)
    p = problem(task)
    gram, spread = p.X.T @ p.X, p.S.T @ p.S
    gamma, weight = 0.7 * mean_eigenvalue(gram), 0.2 * mean_eigenvalue(spread)

    def eszsl(v: np.ndarray) -> float:
        loss = ((p.X @ v @ p.S.T - p.Y) ** 2).sum() + gamma * ((v @ p.S.T) ** 2).sum()
        return float(loss + weight * ((p.X @ v) ** 2).sum() + gamma * weight * (v**2).sum())

    result = slow_eszsl(task, 0.7, 0.2)
    assert np.abs(slope(eszsl, result)).max() < 1e-6 * np.abs(slope(eszsl, 0 * result)).max()

    _, decoded = _relative(p.T.T @ p.T, gram, 0.7)

    def sae(w: np.ndarray) -> float:
        return float(((p.X - p.T @ w) ** 2).sum() + decoded * ((p.X @ w.T - p.T) ** 2).sum())

    encoder = slow_sae(task, 0.7).T
    assert np.abs(slope(sae, encoder)).max() < 1e-6 * np.abs(slope(sae, 0 * encoder)).max()
    b, decoded = _relative(p.T.T @ p.T, gram, 0.7)
    sylvester = scipy.linalg.solve_sylvester(p.T.T @ p.T, b, (1 + decoded) * p.T.T @ p.X)
    np.testing.assert_allclose(encoder, sylvester, atol=1e-9)


def test_the_autoencoder_has_a_small_solution_with_fewer_classes_and_images_than_dimensions() -> (
    None
):
    task = planted()
    few = task.seen[:4]
    rows = task.train[np.isin(task.class_ids[task.train], few)][:12]
    small = replace(task, seen=np.unique(task.class_ids[rows]), train=rows)
    assert (_moments(small).spectrum >= 0).all()  # whatever rounding makes of zeros
    fitted = SAE().fit(small, {"lambda": 1.0})
    # Both matrices are singular; of all solutions the least one, by singular values.
    p = problem(small)
    a, (b, weight) = p.T.T @ p.T, _relative(p.T.T @ p.T, p.X.T @ p.X, 1.0)
    system = np.kron(a, np.eye(len(b))) + np.kron(np.eye(len(a)), b)
    right = ((1 + weight) * p.T.T @ p.X).ravel()
    least = np.linalg.lstsq(system, right, rcond=1e-8)[0].reshape(len(a), len(b)).T
    features = task.features[task.val]
    expected = unit((unit(features) - p.centre) @ least)
    np.testing.assert_allclose(fitted.embed(features), expected, atol=2e-3)


@pytest.mark.parametrize("name", SLOW)
def test_the_choice_is_what_a_brute_force_grid_gives(name: str) -> None:
    task = planted(noise=0.5, seed=5)
    folds = folds_of(task)
    fitted = fit_method(ALL[name], task, folds)
    figure = fitted.hyperparameters.pop("rehearsal/AUSUC")
    grid = list(product(REGULARISERS, repeat=len(fitted.hyperparameters)))
    figures = [np.mean([slow_area(SLOW[name](r.task, *g), task, r) for r in folds]) for g in grid]
    best = int(np.round(figures, 9).argmax())
    assert tuple(fitted.hyperparameters.values()) == grid[best]
    assert figure == pytest.approx(figures[best])
    assert figures[best] > 1.05 * min(figures)  # there is something to choose
    rows = task.features[task.val]
    expected = SLOW[name](task, *grid[best])  # and the choice is then learned from all seen classes
    np.testing.assert_allclose(fitted.embed(rows), expected.embed(rows), atol=1e-3)


@pytest.mark.parametrize("name", SLOW)
def test_a_regulariser_weighs_the_same_at_any_scale_and_on_any_number_of_images(name: str) -> None:
    task = planted(noise=0.3)
    scaled = replace(task, features=replace(task.features, features=50 * task.features.features))
    doubled = replace(task, train=np.concatenate([task.train, task.train]))
    weights = (1.0, 1.0) if name == "eszsl" else (1.0,)
    rows = task.features[task.val]
    expected = fit_by_values(name, task, *weights)
    for other in (scaled, doubled):
        result = fit_by_values(name, other, *weights)
        np.testing.assert_allclose(result.embed(rows), expected.embed(rows), atol=1e-4)
        np.testing.assert_allclose(result.class_vectors, expected.class_vectors, atol=1e-4)
