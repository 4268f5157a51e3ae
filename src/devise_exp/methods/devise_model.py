"""DeViSE (Frome et al. 2013) with a prior from the backbone's pretraining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from devise_exp.evaluation.abstention import KnownScores
from devise_exp.evaluation.metrics.tradeoff import Curve, ausuc
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.abstention import choose_threshold, fold_scores
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.gamma import FoldAnswers, GammaChoice, choose_gamma
from devise_exp.methods.method import CalibratedMethod, FittedMethod
from devise_exp.methods.prior import Prior, Priors
from devise_exp.methods.selection import fold_answers
from devise_exp.methods.task import ClassFold, Task

SEEN_COST = 0.02  # how much of the class mean of hit@1 among seen labels the prior may cost

Project = Callable[[Task], nn.Module]  # trains the projection of a task


def devise(
    projection: nn.Module,
    project: Project,
    priors: Priors | None,
    task: Task,
    folds: Sequence[ClassFold],
) -> tuple[CalibratedMethod, Prior | None]:
    """Choose the prior and the gamma of the trained projection on class folds.

    Args:
        projection: The projection trained on the whole task.
        project: Trains the projection of a fold.
        priors: Makes the priors to choose among; None for no prior.
        task: The whole task.
        folds: Class folds of the task. Without any, there is no prior and no gamma.

    Returns:
        The calibrated method, and the prior as `best_prior` chooses it; None for no prior. Gamma is
        that of `choose_gamma`.
    """
    if not folds:
        return trained_model(task.class_vectors, TrainedProjection(projection), {}, None), None
    answers = [prior_answers(project, priors, task, fold) for fold in folds]
    best, metrics = best_prior([[of_prior.curve for of_prior in row] for row in answers])
    prior = (None, *_priors(priors, task))[best]
    gamma = choose_gamma([row[best] for row in answers], len(task.seen))
    hyperparameters = {"prior/weight": prior.strength if prior else 0.0, **metrics}
    trained = TrainedProjection(projection, prior)
    threshold = _none_threshold(project, priors, task, folds, best)
    vectors = task.class_vectors
    return trained_model(vectors, trained, hyperparameters, gamma, threshold), prior


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
        trained: The trained projection with its prior.
        hyperparameters: Those that were chosen, by name.
        gamma: Gamma of calibrated stacking with its spread, None for none.
        none_threshold: Largest cosine with a label below which an image is of none of them.

    Returns:
        The calibrated method.
    """
    return CalibratedMethod(
        name=MODEL,
        fitted=FittedMethod(class_vectors, trained, hyperparameters),
        gamma=None if gamma is None else gamma.value,
        gamma_spread=None if gamma is None else gamma.spread,
        is_projection=True,
        reports_search=True,
        none_threshold=none_threshold,
    )


def _none_threshold(
    project: Project,
    priors: Priors | None,
    task: Task,
    folds: Sequence[ClassFold],
    best: int,
) -> float | None:
    """The threshold of "none of the labels" under the chosen prior, on class folds."""
    sides: list[KnownScores] = []
    for fold in folds:
        prior = (None, *_priors(priors, fold.task))[best]
        fitted = FittedMethod(task.class_vectors, TrainedProjection(project(fold.task), prior))
        sides += fold_scores(fitted, task, fold)
    return choose_threshold(sides)


def prior_curves(
    project: Project, priors: Priors | None, task: Task, fold: ClassFold
) -> list[Curve]:
    """Trace the trade-off curves of a fold's projection, without a prior and with each.

    Args:
        project: Trains the projection of the fold.
        priors: Makes the priors; None for none.
        task: The whole task.
        fold: The class fold.

    Returns:
        One curve for no prior, then one per prior.
    """
    return [answers.curve for answers in prior_answers(project, priors, task, fold)]


def prior_answers(
    project: Project, priors: Priors | None, task: Task, fold: ClassFold
) -> list[FoldAnswers]:
    """Find the best answers of a fold's projection, without a prior and with each.

    Args:
        project: Trains the projection of the fold.
        priors: Makes the priors; None for none.
        task: The whole task.
        fold: The class fold.

    Returns:
        The answers without a prior, then those of each prior.
    """
    projection = project(fold.task)
    embeds = [TrainedProjection(projection, p) for p in (None, *_priors(priors, fold.task))]
    vectors = task.class_vectors
    return [fold_answers(FittedMethod(vectors, embed), task, fold) for embed in embeds]


def best_prior(curves: Sequence[Sequence[Curve]]) -> tuple[int, dict[str, float]]:
    """Choose the prior of the largest mean AUSUC that keeps the mean seen hit@1 within SEEN_COST.

    Args:
        curves: Per fold, what `prior_curves` returns.

    Returns:
        The position of the best prior in each row of `curves`, the first of equals, and its means
        over the folds: "rehearsal/seen" and "rehearsal/AUSUC".
    """
    area = np.mean([[ausuc(curve) for curve in row] for row in curves], axis=0)
    seen = np.mean([[curve.seen[0] for curve in row] for row in curves], axis=0)
    best = int(np.where(seen >= seen[0] - SEEN_COST, area, -1).argmax())
    return best, {"rehearsal/seen": float(seen[best]), "rehearsal/AUSUC": float(area[best])}


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


def _priors(priors: Priors | None, task: Task) -> tuple[Prior, ...]:
    """Make the priors of a task; none if its pretraining is unknown."""
    if priors is None or task.pretraining is None:
        return ()
    return priors(task.pretraining)
