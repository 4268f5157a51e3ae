"""Hyperparameters that a finished run has chosen, for further seeds of the same recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import MODEL, MethodOutput
from devise_exp.methods.devise_model import trained_model
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.gamma import stored_gamma
from devise_exp.methods.method import CalibratedMethod, Method
from devise_exp.methods.prior import Prior
from devise_exp.methods.selection import calibrate, calibrated
from devise_exp.methods.task import ClassFold, Task
from devise_exp.methods.word_classifiers import ClassifierShare
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import flat_settings

# Config keys that may differ between the two runs.
_FREE = ("seed", "method", "class_folds")


@dataclass(frozen=True, eq=False)
class StoredMethod:
    """One method of the finished run.

    Attributes:
        hyperparameters: Those that it chose, by name.
        output: Its embedded images, class vectors and gamma.
    """

    hyperparameters: dict[str, Any]
    output: MethodOutput


@dataclass(frozen=True, eq=False)
class ReusedHyperparameters:
    """What a finished run has chosen.

    Attributes:
        additions: The prior and the predicted classifiers of the trained model, None for none.
        methods: Its methods by name, the trained model among them; empty without such a run.
        same_features: Whether this run has the features of the finished one. A network that is
            trained has other features with every seed.
    """

    additions: tuple[Prior | None, ClassifierShare | None]
    methods: Mapping[str, StoredMethod]
    same_features: bool = True

    def model(
        self, task: Task, projection: nn.Module
    ) -> tuple[CalibratedMethod, TrainedProjection] | None:
        """Give the trained model the additions and the gamma of the finished run.

        Args:
            task: The whole task.
            projection: The projection trained on it.

        Returns:
            What `devise` returns; None without a finished run.
        """
        stored = self.methods.get(MODEL)
        if stored is None:
            return None
        trained = TrainedProjection(projection, *self.additions)
        gamma = stored_gamma(stored.output)
        threshold = stored.output.none_threshold
        chosen = stored.hyperparameters
        method = trained_model(task.class_vectors, trained, chosen, gamma, threshold)
        return method, trained

    def has_result(self, method: Method) -> bool:
        """Tell whether the finished run has the result of a method: no seed changes it.

        Args:
            method: The method.

        Returns:
            Whether `fit` only reads.
        """
        return method.name in self.methods and self.same_features and not method.uses_seed

    def fit(
        self, method: Method, task: Task, folds: Sequence[ClassFold]
    ) -> tuple[dict[str, Any], CalibratedMethod | MethodOutput]:
        """Fit a method as the finished run has chosen; if that lacks the method, choose on folds.

        Args:
            method: The method.
            task: The whole task.
            folds: Class folds of the task.

        Returns:
            The hyperparameters, and the calibrated method, or its output in the finished run if no
            seed changes that.
        """
        stored = self.methods.get(method.name)
        if stored is None:
            chosen = calibrate(method, task, folds)
            return chosen.fitted.hyperparameters, chosen
        if self.has_result(method):
            return stored.hyperparameters, stored.output
        fitted = method.fit(task, stored.hyperparameters)
        return fitted.hyperparameters, calibrated(method, fitted, stored_gamma(stored.output))


def read(config: DictConfig, data: ExperimentData) -> ReusedHyperparameters:
    """Read what the finished run config.hyperparameters_from has chosen.

    Args:
        config: The config of the run that reuses it.
        data: The data of that run.

    Returns:
        Its hyperparameters; empty if config.hyperparameters_from is null.

    Raises:
        InputError: There is no such finished run, or it has another recipe, split or class vectors.
    """
    if config.hyperparameters_from is None:
        return ReusedHyperparameters((None, None), {})
    run = RunFolder.existing(str(config.hyperparameters_from))
    _check_recipe(config, data, run)
    methods = {
        name: StoredMethod(run.hyperparameters(name), run.embedded(name))
        for name in run.method_names()
    }
    return ReusedHyperparameters(run.additions(), methods, not data.backbone.trainable)


def _check_recipe(config: DictConfig, data: ExperimentData, run: RunFolder) -> None:
    """Raise InputError if the finished run has another recipe, split or class vectors."""
    configs: list[Any] = [OmegaConf.to_container(c, resolve=True) for c in (run.config(), config)]
    theirs, ours = (flat_settings(settings) for settings in configs)
    keys = [
        key
        for key in dict.fromkeys([*theirs, *ours])
        if theirs.get(key) != ours.get(key) and key.partition(".")[0] not in _FREE
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
