"""Methods fitted to a task, and what is chosen on class folds: the strength of the prior, and the
gamma of calibrated stacking.

In a class fold some seen classes play the unseen ones. No unseen class and no test image has a say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from devise_exp.evaluation.metrics import calibrated_stacking
from devise_exp.evaluation.metrics.calibrated_stacking import (
    Curve,
    SearchResult,
    best_gamma,
    top_answers,
    tradeoff_curve,
)
from devise_exp.evaluation.protocols import MODEL
from devise_exp.index.exact import ExactIndex
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.prior import Prior, Priors
from devise_exp.methods.task import ClassFold, FittedMethod, Method, Task, class_fold

Family = Callable[[Task], Callable[..., FittedMethod]]  # a task's members, by their hyperparameters


def choose_hyperparameters(
    family: Family, grid: Sequence[dict[str, float]], task: Task, folds: Sequence[ClassFold]
) -> FittedMethod:
    """The member of `family` for `task` with the hyperparameters out of `grid` of the largest area
    under the trade-off curve, averaged over the class folds, as the trained model's prior is chosen
    as well; the first of equals. `about` has them and that figure, rehearsal/AUSUC.

    Without a class fold there is nothing to choose by: then it is the middle of the grid.
    """
    if not folds or len(grid) == 1:
        middle = grid[len(grid) // 2]
        return replace(family(task)(*middle.values()), hyperparameters=dict(middle))
    areas = np.zeros(len(grid))
    for each in folds:
        member = family(each.task)
        for i, hyperparameters in enumerate(grid):
            areas[i] += calibrated_stacking.ausuc(
                fold_curve(member(*hyperparameters.values()), task, each)
            )
    areas = np.round(areas / len(folds), 9)  # rounding errors decide no tie
    best = int(areas.argmax())
    about = grid[best] | {"rehearsal/AUSUC": float(areas[best])}
    return replace(family(task)(*grid[best].values()), hyperparameters=about)


SEEN_COST = 0.02  # what the prior may cost of the class mean of hit@1 among seen labels

Project = Callable[[Task], nn.Module]  # trains the projection of a task


@dataclass(frozen=True, eq=False)
class CalibratedMethod:
    """A fitted method and the gamma by which the similarities of seen labels are lowered among all
    labels; None where it names no unseen class or nothing could be held out.
    """

    fitted: FittedMethod
    gamma: float | None


def devise(
    projection: nn.Module,
    project: Project,
    priors: Priors | None,
    task: Task,
    folds: Sequence[ClassFold],
) -> tuple[CalibratedMethod, Prior | None]:
    """The trained model with the prior that does best on the class folds, for each of which
    `project` trains a projection anew.

    Among the priors whose seen hit@1 stays within SEEN_COST of that without any, the one of the
    largest area under the trade-off curve, the first of equals; its gamma is the mean of those
    that are best on each class fold. Without a class fold there is nothing to choose by: no prior.
    """
    if not folds:
        fitted = FittedMethod(MODEL, task.class_vectors, TrainedProjection(projection))
        return CalibratedMethod(fitted, None), None
    curves = [prior_curves(project, priors, task, each) for each in folds]
    best, chosen = best_prior(curves)
    prior = (None, *_priors(priors, task))[best]
    gamma = float(np.mean([best_gamma(row[best]) for row in curves]))
    about: dict[str, Any] = {"prior/weight": prior.strength if prior else 0.0, **chosen}
    fitted = FittedMethod(MODEL, task.class_vectors, TrainedProjection(projection, prior), about)
    return CalibratedMethod(fitted, gamma), prior


def prior_curves(project: Project, priors: Priors | None, task: Task, on: ClassFold) -> list[Curve]:
    """The trade-off curves on a class fold of its projection: without a prior, with each."""
    own = project(on.task)
    maps = [TrainedProjection(own, prior) for prior in (None, *_priors(priors, on.task))]
    return [fold_curve(FittedMethod(MODEL, task.class_vectors, each), task, on) for each in maps]


def best_prior(curves: Sequence[Sequence[Curve]]) -> tuple[int, dict[str, float]]:
    """The place, in each class fold's `with_priors`, of the prior that is chosen, as `devise` says;
    and its rehearsal/seen and rehearsal/AUSUC, means over the class folds.
    """
    area = np.mean([[calibrated_stacking.ausuc(c) for c in row] for row in curves], axis=0)
    seen = np.mean([[c.seen[0] for c in row] for row in curves], axis=0)
    best = int(np.where(seen >= seen[0] - SEEN_COST, area, -1).argmax())
    return best, {"rehearsal/seen": float(seen[best]), "rehearsal/AUSUC": float(area[best])}


def cached_per_task(project: Project, known: dict[Task, nn.Module]) -> Project:
    """`project`, but each task is trained on once; `known`: those trained on already."""

    def of(task: Task) -> nn.Module:
        if task not in known:
            known[task] = project(task)
        return known[task]

    return of


def projection_method(name: str, project: Project) -> Method:
    """DeViSE's projection alone, without a prior, as a method like any other."""

    def fit(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
        return FittedMethod(name, task.class_vectors, TrainedProjection(project(task)))

    return fit


def calibrate(method: Method, task: Task, folds: Sequence[ClassFold]) -> CalibratedMethod:
    """Fit a method to the task, and choose its gamma as that of `devise` is: the mean of those
    that are best on each class fold, for which it is fitted anew, and chooses its hyperparameters
    on the others.
    """
    fitted = method(task, folds)
    if not folds or not fitted.class_vectors[task.unseen].any(axis=1).all():
        return CalibratedMethod(fitted, None)
    gammas = []
    for each in folds:
        others = [_within(each, other) for other in folds if other is not each]
        again = method(each.task, others)
        gammas.append(best_gamma(fold_curve(again, task, each)))
    return CalibratedMethod(fitted, float(np.mean(gammas)))


def _within(outer: ClassFold, other: ClassFold) -> ClassFold:
    """A class fold inside another: the held-out classes of both are held out."""
    known, left = outer.task.pretraining, other.task.pretraining
    gone = set() if known is None or left is None else set(known.categories) - set(left.categories)
    return class_fold(outer.task, other.task.unseen, gone)


def _priors(priors: Priors | None, task: Task) -> tuple[Prior, ...]:
    if priors is None or task.pretraining is None:
        return ()
    return priors(task.pretraining)


def fold_curve(fitted: FittedMethod, task: Task, on: ClassFold) -> Curve:
    """The trade-off curve of a method fitted to a class fold of `task`, on its held-out rows."""
    sides = []
    for rows in (on.seen_rows, on.unseen_rows):
        images = fitted.embed(task.features[rows])
        seen, unseen = (_nearest(fitted, images, c) for c in (on.task.seen, on.task.unseen))
        sides.append(top_answers(seen, unseen, task.class_ids[rows]))
    return tradeoff_curve(*sides)


def _nearest(fitted: FittedMethod, images: np.ndarray, labels: np.ndarray) -> SearchResult:
    places, similarity = ExactIndex(fitted.class_vectors[labels]).search(images, 1)
    return labels[places], similarity
