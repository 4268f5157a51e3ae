"""What every method inherits: its grid, its defaults, and plain functions as methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from helpers.baselines import folds_of, planted, unseen_hit
from helpers.own_methods import NearestImage, nearest_image

from devise_exp.methods import FittedMethod, FunctionMethod, Hyperparameters, Method, Task
from devise_exp.methods.selection import calibrate, fit_method


@dataclass(frozen=True, kw_only=True)
class Recording(Method):
    """A method that only records its hyperparameters."""

    name: str = "recording"

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """Two hyperparameters."""
        return {"a": (1, 2, 3), "b": (4, 5)}

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        return FittedMethod(task.class_vectors, lambda x: x, {"fixed": 0})


def test_the_last_hyperparameter_varies_fastest() -> None:
    result = [tuple(values.values()) for values in Recording().combinations()]
    assert result == [(1, 4), (1, 5), (2, 4), (2, 5), (3, 4), (3, 5)]


def test_hyperparameters_left_out_are_the_middle_and_others_are_ignored() -> None:
    task, method = planted(), Recording()
    assert method.fit(task).hyperparameters == {"fixed": 0, "a": 2, "b": 5}
    assert method.fit(task, {"a": 3, "c": 9}).hyperparameters == {"fixed": 0, "a": 3, "b": 5}
    grid = method.combinations()
    fits = [fitted.hyperparameters for fitted in method.fit_grid(task, grid)]
    assert fits == [{"fixed": 0, **values} for values in grid]


def test_a_method_needs_a_fit() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Method()  # type: ignore[abstract]


def test_a_users_own_method_learns_chooses_and_is_calibrated() -> None:
    task = planted()
    calibrated = calibrate(NearestImage(), task, folds_of(task))
    assert calibrated.name == "nearest_image"
    assert calibrated.gamma is not None
    assert calibrated.fitted.hyperparameters["power"] in NearestImage().powers
    assert 0 < calibrated.fitted.hyperparameters["rehearsal/AUSUC"] <= 1
    assert unseen_hit(calibrated.fitted, task) > 0.3 > 2 / 8


def test_a_plain_function_is_a_method_that_chooses_by_itself() -> None:
    task = planted()
    method = FunctionMethod(name="mine", function=nearest_image)
    rows = task.features[task.val]
    by_function, by_class = fit_method(method, task), NearestImage().fit(task, {"power": 4.0})
    np.testing.assert_array_equal(by_function.embed(rows), by_class.embed(rows))
    assert by_function.hyperparameters == {"power": 4.0}
    assert calibrate(method, task, folds_of(task)).gamma is not None
