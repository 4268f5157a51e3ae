"""One trial of a sweep: a config to the metrics that it is judged by, all of seen classes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.methods.additions import Additions, addition_answers, best_addition
from devise_exp.methods.task import Task
from devise_exp.pipelines.experiment_data import ExperimentData, Ready
from devise_exp.pipelines.fit_projection import fit_plain
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of

Report = Callable[[int, float], None]  # of a step and its metric; may raise to end the trial
# The groups of a config that data and features depend on.
_DATA = ["data", "labels", "word_vectors", "split", "backbone", "subset", "features", "class_folds"]


@dataclass(eq=False)
class DataCache:
    """What trials share: data and features, prepared anew only if their config differs.

    Attributes:
        key: The part of the config that data and features depend on.
        ready: The data, with the features of its rows.
    """

    key: str = ""
    ready: Ready | None = None

    def ready_for(self, config: DictConfig) -> Ready:
        """Prepare the data of a config, or take what an earlier trial has prepared.

        Args:
            config: Of train.py.

        Returns:
            The data, and features (N, feature_dim).
        """
        key = OmegaConf.to_yaml(OmegaConf.masked_copy(config, _DATA), resolve=True)
        if self.ready is None or key != self.key:
            self.ready = None  # two at once would double the memory
            data = prepare(config)
            self.ready, self.key = (data, features_of(config, data)), key
        return self.ready


SHARED = DataCache()  # of the trials that one process runs


def run_trial(
    names: Collection[str], config: DictConfig, ready: Ready, report: Report
) -> dict[str, float]:
    """Train by a config and measure it.

    Args:
        names: Which metrics are needed, of study.OBJECTIVES.
        config: Of train.py.
        ready: Its data and features.
        report: Called with the validation hit@1 of each epoch, or with the metric after each class
            fold if only those are needed.

    Returns:
        The metrics `names`, and those that came with them.

    Raises:
        InputError: If a sweep cannot train by the config.
    """
    data, features = ready
    recipe = recipe_of(config, data.n_train)
    if not recipe.is_plain or data.backbone.trainable:
        raise InputError(
            "a sweep trains projections on features on the CPU: leave trainer=cpu with its "
            "precision, and backbone.trainable=false"
        )
    started, task = time.perf_counter(), data.task(features, config.seed)
    metrics: dict[str, float] = {}
    needs_folds = any(name.startswith("rehearsal/") for name in names)
    if "val/hit@1" in names or not needs_folds:
        _, metrics["val/hit@1"] = fit_plain(recipe, task, report)
        report = _silent
    if needs_folds:
        judged = next(name for name in names if name.startswith("rehearsal/"))
        metrics |= _fold_metrics(config, data, task, lambda i, metrics: report(i, metrics[judged]))
    blank = recipe.new_projection(task.features.dim, task.class_vectors.shape[1])
    metrics["cost/weights"] = sum(weight.numel() for weight in blank.parameters())
    metrics["cost/seconds"] = time.perf_counter() - started
    return metrics


def _fold_metrics(
    config: DictConfig,
    data: ExperimentData,
    task: Task,
    report: Callable[[int, dict[str, float]], None],
) -> dict[str, float]:
    """rehearsal/AUSUC and rehearsal/seen with the prior that a run would choose."""
    folds = data.class_folds(task)
    if not folds:
        raise InputError(
            "objectives rehearsal/...: there is no class fold: set class_folds=auto, with enough "
            "seen classes to hold some out, or judge by val/hit@1"
        )
    # The predicted classifiers would be those of every trial, and hide what the map is worth.
    additions = Additions(priors=instantiate(config.prior) if config.prior else None)
    recipe, curves, metrics = recipe_of(config, data.n_train), [], {}

    def project(fold_task: Task) -> nn.Module:
        return fit_plain(recipe, fold_task)[0]

    for step, fold in enumerate(folds):
        answers = addition_answers(project, additions, task, fold)
        curves.append([with_one.curve for with_one in answers])
        metrics = best_addition(curves)[1]
        report(step, metrics)
    return metrics


def _silent(step: int, metric: float) -> None:
    """Report nothing."""
