"""DeViSE (Frome et al. 2013) with a prior from the pretraining and predicted classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from devise_exp.evaluation.abstention import KnownScores
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.abstention import choose_threshold, fold_scores
from devise_exp.methods.additions import (
    Additions,
    Classifiers,
    Project,
    addition_answers,
    best_addition,
)
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.gamma import GammaChoice, choose_gamma
from devise_exp.methods.method import CalibratedMethod, FittedMethod
from devise_exp.methods.prior import Priors
from devise_exp.methods.task import ClassFold, Task


def devise(
    projection: nn.Module,
    project: Project,
    priors: Priors | None,
    classifiers: Classifiers | None,
    task: Task,
    folds: Sequence[ClassFold],
) -> tuple[CalibratedMethod, TrainedProjection]:
    """Choose what is added to the trained projection, and its gamma, on class folds.

    Args:
        projection: The projection trained on the whole task.
        project: Trains the projection of a fold.
        priors: Makes the priors to choose among; None for no prior.
        classifiers: Chooses predicted classifiers; None for none.
        task: The whole task.
        folds: Class folds of the task. Without any, nothing is added and there is no gamma.

    Returns:
        The calibrated method, and the projection with the additions that `best_addition` chooses.
        Gamma is that of `choose_gamma`.
    """
    trained = TrainedProjection(projection)
    if not folds:
        return trained_model(task.class_vectors, trained, {}, None), trained
    chosen = None if classifiers is None else classifiers.choose(task, folds)
    additions = Additions(priors=priors, classifiers=chosen)
    answers = [addition_answers(project, additions, task, fold) for fold in folds]
    best, metrics = best_addition([[with_one.curve for with_one in row] for row in answers])
    prior, share = additions.of(task)[best]
    gamma = choose_gamma([row[best] for row in answers], len(task.seen))
    hyperparameters = {"prior/weight": prior.strength if prior else 0.0, **metrics}
    if chosen is not None:
        hyperparameters |= {
            "classifiers/share": share.share if share else 0.0,
            **{f"classifiers/{name}": value for name, value in chosen.hyperparameters.items()},
        }
    trained = replace(trained, prior=prior, classifiers=share)
    threshold = _none_threshold(project, additions, task, folds, best)
    vectors = task.class_vectors
    return trained_model(vectors, trained, hyperparameters, gamma, threshold), trained


def trained_model(
    class_vectors: np.ndarray,
    trained: TrainedProjection,
    hyperparameters: dict[str, Any],
    gamma: GammaChoice | None,
    none_threshold: float | None = None,
) -> CalibratedMethod:
    """Make the run's own model a method like any other.

    Args:
        class_vectors: (C, D) unit rows by class id.
        trained: The trained projection with what was added to it.
        hyperparameters: Those that were chosen, by name.
        gamma: Gamma of calibrated stacking with its spread, None for none.
        none_threshold: Largest cosine with a label below which an image is of none of them.

    Returns:
        The calibrated method.
    """
    return CalibratedMethod(
        name=MODEL,
        fitted=FittedMethod(trained.words(class_vectors), trained, hyperparameters),
        gamma=None if gamma is None else gamma.value,
        gamma_spread=None if gamma is None else gamma.spread,
        is_projection=True,
        reports_search=True,
        none_threshold=none_threshold,
    )


def _none_threshold(
    project: Project, additions: Additions, task: Task, folds: Sequence[ClassFold], best: int
) -> float | None:
    """The threshold of "none of the labels" under the chosen additions, on class folds."""
    sides: list[KnownScores] = []
    for fold in folds:
        trained = TrainedProjection(project(fold.task), *additions.of(fold.task)[best])
        fitted = FittedMethod(trained.words(task.class_vectors), trained)
        sides += fold_scores(fitted, task, fold)
    return choose_threshold(sides)


def cached_per_task(project: Project, trained: dict[Task, nn.Module]) -> Project:
    """Train at most once on each task.

    Args:
        project: Trains the projection of a task.
        trained: Projections trained already, by task; gains those trained later.

    Returns:
        A function as `project`.
    """

    def cached(task: Task) -> nn.Module:
        if task not in trained:
            trained[task] = project(task)
        return trained[task]

    return cached
