"""What a finished run has chosen on its class folds, for further seeds of the same recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import MODEL, MethodOutput
from devise_exp.methods.baselines.base import SEEDLESS
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.prior import Prior
from devise_exp.methods.selection import CalibratedMethod
from devise_exp.methods.task import FittedMethod, Method, Task
from devise_exp.pipelines.prepare import ExperimentData
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import flat_settings

# What is not of the recipe: choices are taken by the methods that a run shares with the other, and
# instead of class folds.
_FREE = ("seed", "method", "class_folds")


@dataclass(frozen=True, eq=False)
class MethodHyperparameters:
    """Of one method. about: what it chose; gamma: of calibrated stacking, None where none was
    chosen; embedded: what it made of the images, where no seed changes that.
    """

    about: dict[str, Any]
    gamma: float | None
    embedded: MethodOutput | None

    def fit(self, method: Method, task: Task) -> CalibratedMethod:
        """The method fitted to the task with all that was chosen for it, be it nothing."""
        settled: Any = method
        if "rate" in self.about:  # the one method that a seed changes and has hyperparameters
            settled = partial(settled, rates=(self.about["rate"],))
        return CalibratedMethod(settled(task, ()), self.gamma)


@dataclass(frozen=True, eq=False)
class ReusedHyperparameters:
    """prior: of the trained model; methods: by name, the trained model among them."""

    prior: Prior | None
    methods: Mapping[str, MethodHyperparameters]

    def of(self, name: str) -> MethodHyperparameters | None:
        """What is known of a method, None where nothing is: then it has to choose itself."""
        return self.methods.get(name)

    def model(
        self, task: Task, projection: nn.Module
    ) -> tuple[CalibratedMethod, Prior | None] | None:
        """The trained model and its prior, as of methods.devise; None where nothing is known."""
        own = self.of(MODEL)
        if own is None:
            return None
        trained = TrainedProjection(projection, self.prior)
        fitted = FittedMethod(MODEL, task.class_vectors, trained, own.about)
        return CalibratedMethod(fitted, own.gamma), self.prior


def read(config: DictConfig, data: ExperimentData) -> ReusedHyperparameters:
    """The hyperparameters of the finished run config.hyperparameters_from, none if that is null;
    InputError if it is a run of another recipe, split or class vectors.
    """
    if config.hyperparameters_from is None:
        return ReusedHyperparameters(None, {})
    run = RunFolder.existing(str(config.hyperparameters_from))
    _check_recipe(config, data, run)
    # A trained network has its seed's features.
    fixed = () if data.backbone.trainable else SEEDLESS
    models = {name: run.embedded(name) for name in run.method_names()}
    return ReusedHyperparameters(
        run.prior(),
        {
            name: MethodHyperparameters(
                run.hyperparameters(name), model.gamma, model if name in fixed else None
            )
            for name, model in models.items()
        },
    )


def _check_recipe(config: DictConfig, data: ExperimentData, run: RunFolder) -> None:
    found: list[Any] = [OmegaConf.to_container(c, resolve=True) for c in (run.config(), config)]
    saved, own = (flat_settings(each) for each in found)
    keys = [
        key
        for key in dict.fromkeys([*saved, *own])
        if saved.get(key) != own.get(key) and key.partition(".")[0] not in _FREE
    ]
    different = [key.partition(".")[0] for key in keys]
    vectors = run.class_vectors()
    if run.split().fingerprint != data.split.fingerprint:
        different.append("split")
    if vectors.shape != data.class_vectors.shape or not np.allclose(vectors, data.class_vectors):
        different.append("word_vectors")
    if different:
        named = f" (by {', '.join(keys)})" if keys else ""
        raise InputError(
            f"hyperparameters_from={run.path}: that run has another "
            f"{' and '.join(dict.fromkeys(different))}, so its hyperparameters do not hold{named}: "
            "leave hyperparameters_from=null, which selects them anew"
        )
