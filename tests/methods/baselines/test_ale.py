"""ALE and SJE against plain loops, and the choice of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers.baselines import folds_of, planted, problem, slow_area, unit

from devise_exp.core.errors import InputError
from devise_exp.methods.baselines import ALE, SJE
from devise_exp.methods.baselines.ale import (
    RankingMap,
    _descend,
    ranking_slope,
    structured_slope,
)
from devise_exp.methods.baselines.base import training_rows
from devise_exp.methods.selection import fit_method


def slow_ranking_loss(scores: np.ndarray, targets: np.ndarray) -> float:
    total = 0.0
    for row, target in zip(scores.tolist(), targets.tolist(), strict=True):
        terms = [1 + s - row[target] for y, s in enumerate(row) if y != target]
        positive = [term for term in terms if term > 0]
        if positive:
            rank = len(positive)
            total += sum(1 / j for j in range(1, rank + 1)) / rank * sum(positive)
    return total


def slow_structured_loss(scores: np.ndarray, targets: np.ndarray) -> float:
    return sum(
        max(s - row[target] + (y != target) for y, s in enumerate(row))
        for row, target in zip(scores.tolist(), targets.tolist(), strict=True)
    )


def slow_slope(loss: Callable[..., float], scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    slope = np.empty_like(scores)
    for entry in np.ndindex(*scores.shape):
        step = np.zeros_like(scores)
        step[entry] = 1e-6
        slope[entry] = (loss(scores + step, targets) - loss(scores - step, targets)) / 2e-6
    return slope


def test_the_slope_of_sje_is_that_of_the_loss_in_plain_loops() -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(20, 7)), rng.integers(0, 7, 20)
    scores[0, targets[0]] = 10  # nothing to mend
    result = structured_slope(scores, targets)
    np.testing.assert_allclose(result, slow_slope(slow_structured_loss, scores, targets), atol=1e-6)
    assert not result[0].any()
    assert (np.abs(result[1:]).sum(axis=1) == 2).any()


def test_the_ranking_slope_is_that_of_the_loss_in_plain_loops() -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.normal(size=(20, 7)), rng.integers(0, 7, 20)
    scores[0, targets[0]] = 10  # nothing to mend
    result = ranking_slope(scores, targets)
    expected = np.empty_like(scores)
    for folder in np.ndindex(*scores.shape):
        step = np.zeros_like(scores)
        step[folder] = 1e-6
        up, down = (slow_ranking_loss(scores + sign * step, targets) for sign in (1, -1))
        expected[folder] = (up - down) / 2e-6
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert not result[0].any()


def test_ale_learns_from_unit_features_about_their_mean_and_places_images_alike() -> None:
    task = planted(noise=0.3)
    p, inputs = problem(task), training_rows(task)
    scaled = p.X / math.sqrt((p.X**2).sum(axis=1).mean())
    np.testing.assert_allclose(inputs.features, scaled, atol=1e-5)
    weights = _descend(inputs, ranking_slope, rate=1.0, seed=0)
    rows = task.features[task.val]
    expected = unit((unit(rows) - p.centre) @ weights)
    np.testing.assert_allclose(ALE().fit(task, {"rate": 1.0}).embed(rows), expected, atol=1e-2)


def test_ale_follows_its_seed_and_chooses_its_rate_by_the_class_folds() -> None:
    task = planted(noise=0.5)
    folds = folds_of(task)
    first, second, other = (
        fit_method(ALE(), task_, folds) for task_ in (task, task, replace(task, seed=9))
    )
    rows = task.features[task.val]
    np.testing.assert_array_equal(first.embed(rows), second.embed(rows))
    assert not np.array_equal(first.embed(rows), other.embed(rows))
    areas = [
        np.mean([slow_area(ALE().fit(f.task, {"rate": rate}), task, f) for f in folds])
        for rate in ALE().rates
    ]
    assert first.hyperparameters["rate"] == ALE().rates[int(np.round(areas, 9).argmax())]
    assert first.hyperparameters["rehearsal/AUSUC"] == pytest.approx(max(areas))


@pytest.mark.parametrize("method", [ALE, SJE])
@pytest.mark.parametrize("rates", [(), (0.0,), (1.0, -1.0), "1"])
def test_wrong_learning_rates_are_refused(
    method: type[RankingMap], rates: tuple[float, ...]
) -> None:
    with pytest.raises(InputError, match="give learning rates above 0"):
        method(rates=rates)
