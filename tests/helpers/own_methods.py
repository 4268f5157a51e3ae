"""Methods of a user's own, by `_target_`: a class and a plain function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods import ClassFold, FittedMethod, Hyperparameters, Method, Task


@dataclass(frozen=True, kw_only=True)
class NearestImage(Method):
    """A class lies at the training images whose class vectors are most like its own."""

    name: str = "nearest_image"
    powers: Sequence[float] = (1.0, 4.0, 16.0)
    uses_seed = False

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """How much nearer classes count more."""
        return {"power": tuple(self.powers)}

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        features = normalize_rows(task.features[task.train])
        vectors = task.class_vectors @ task.class_vectors[task.class_ids[task.train]].T
        weights = np.exp(hyperparameters["power"] * vectors)
        return FittedMethod(normalize_rows(weights @ features), normalize_rows)


def nearest_image(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    """The same as a plain function."""
    return NearestImage().fit(task, {"power": 4.0})


@dataclass(frozen=True, kw_only=True)
class Weighted(NearestImage):
    """An argument of it has the name of a config group."""

    name: str = "weighted"
    loss: str = "hinge"
