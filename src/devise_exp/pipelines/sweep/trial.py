"""One trial of a sweep: a config to the figures that it is judged by, all of seen classes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.methods.devise_model import best_prior, prior_curves
from devise_exp.methods.task import Task
from devise_exp.pipelines.fit_projection import fit_plain, is_plain, projection_of
from devise_exp.pipelines.prepare import ExperimentData, features_of, prepare

Ready = tuple[ExperimentData, np.ndarray]  # with the features of its rows
Report = Callable[[int, float], None]  # of a step and its figure; may raise to end the trial
# The groups of a config that data and features depend on.
_DATA = ["data", "labels", "word_vectors", "split", "backbone", "subset", "features", "class_folds"]


@dataclass(eq=False)
class DataCache:
    """What trials share: data and features, prepared anew only where their config is another."""

    key: str = ""
    ready: Ready | None = None

    def of(self, config: DictConfig) -> Ready:
        key = OmegaConf.to_yaml(OmegaConf.masked_copy(config, _DATA), resolve=True)
        if self.ready is None or key != self.key:
            self.ready = None  # two at once would double the memory
            data = prepare(config)
            self.ready, self.key = (data, features_of(config, data)), key
        return self.ready


def run_trial(
    names: Collection[str], config: DictConfig, ready: Ready, report: Report
) -> dict[str, float]:
    """The figures `names` (study.OBJECTIVES) of a training by `config`, and those that came with
    them. Reports the validation hit@1 of each epoch or, where only class folds are asked for, the
    figure after each of them. InputError for a config that a sweep cannot train by.
    """
    data, features = ready
    if not is_plain(config.trainer) or data.backbone.trainable:
        raise InputError(
            "a sweep trains maps on features by the CPU: leave trainer=cpu with its precision, and "
            "backbone.trainable=false"
        )
    started, task = time.perf_counter(), data.task(features, config.seed)
    figures: dict[str, float] = {}
    needs_folds = any(name.startswith("rehearsal/") for name in names)
    if "val/hit@1" in names or not needs_folds:
        _, figures["val/hit@1"] = fit_plain(config, task, report)
        report = _silent
    if needs_folds:
        judged = next(name for name in names if name.startswith("rehearsal/"))
        figures |= _fold_metrics(config, data, task, lambda i, found: report(i, found[judged]))
    blank = projection_of(config, task.features.dim, task.class_vectors.shape[1])
    figures["cost/weights"] = sum(weight.numel() for weight in blank.parameters())
    figures["cost/seconds"] = time.perf_counter() - started
    return figures


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
            "objectives rehearsal/...: there is no class fold: set class_folds=2, with enough seen "
            "classes to hold some out, or judge by val/hit@1"
        )
    priors = instantiate(config.prior) if config.prior else None
    curves, found = [], {}

    def project(own: Task) -> nn.Module:
        return fit_plain(config, own)[0]

    for step, each in enumerate(folds):
        curves.append(prior_curves(project, priors, task, each))
        found = best_prior(curves)[1]
        report(step, found)
    return found


def _silent(step: int, figure: float) -> None:
    """Report nothing."""
