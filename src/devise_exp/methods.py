"""Methods fitted to a task, and what is chosen on rehearsals: the prior's weight, and the factor of
calibrated stacking.

In a rehearsal some seen classes play the unseen ones. No unseen class and no test image has a say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from devise_exp import tradeoff
from devise_exp.embeddings import TrainedMap
from devise_exp.pretraining import Prior, Priors
from devise_exp.protocols import MODEL
from devise_exp.rehearsals import curve_on
from devise_exp.task import Fitted, Method, Rehearsal, Task, rehearsal
from devise_exp.tradeoff import Curve

SEEN_COST = 0.02  # what the prior may cost of the class mean of hit@1 among seen labels

Project = Callable[[Task], nn.Module]  # trains the projection of a task


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A fitted method and the factor by which the similarities of seen labels are lowered among all
    labels; None where it names no unseen class or nothing could be held out.
    """

    fitted: Fitted
    factor: float | None


def devise(
    projection: nn.Module,
    project: Project,
    priors: Priors | None,
    task: Task,
    rehearsals: Sequence[Rehearsal],
) -> tuple[Calibrated, Prior | None]:
    """The trained model with the prior that does best on the rehearsals, for each of which
    `project` trains a projection anew.

    Among the priors whose seen hit@1 stays within SEEN_COST of that without any, the one of the
    largest area under the trade-off curve, the first of equals; its factor is the mean of those
    that are best on each rehearsal. Without a rehearsal there is nothing to choose by: no prior.
    """
    if not rehearsals:
        fitted = Fitted(MODEL, task.class_vectors, TrainedMap(projection))
        return Calibrated(fitted, None), None
    curves = [with_priors(project, priors, task, each) for each in rehearsals]
    best, chosen = best_prior(curves)
    prior = (None, *_priors(priors, task))[best]
    factor = float(np.mean([tradeoff.best_factor(row[best]) for row in curves]))
    about: dict[str, Any] = {"prior/weight": prior.weight if prior else 0.0, **chosen}
    fitted = Fitted(MODEL, task.class_vectors, TrainedMap(projection, prior), about)
    return Calibrated(fitted, factor), prior


def with_priors(project: Project, priors: Priors | None, task: Task, on: Rehearsal) -> list[Curve]:
    """The trade-off curves on a rehearsal of the map trained for it: without a prior, with each."""
    own = project(on.task)
    maps = [TrainedMap(own, prior) for prior in (None, *_priors(priors, on.task))]
    return [curve_on(Fitted(MODEL, task.class_vectors, each), task, on) for each in maps]


def best_prior(curves: Sequence[Sequence[Curve]]) -> tuple[int, dict[str, float]]:
    """The place, in each rehearsal's `with_priors`, of the prior that is chosen, as `devise` says;
    and its rehearsal/seen and rehearsal/AUSUC, means over the rehearsals.
    """
    area = np.mean([[tradeoff.area(c) for c in row] for row in curves], axis=0)
    seen = np.mean([[c.seen[0] for c in row] for row in curves], axis=0)
    best = int(np.where(seen >= seen[0] - SEEN_COST, area, -1).argmax())
    return best, {"rehearsal/seen": float(seen[best]), "rehearsal/AUSUC": float(area[best])}


def remembered(project: Project, known: dict[Task, nn.Module]) -> Project:
    """`project`, but each task is trained on once; `known`: those trained on already."""

    def of(task: Task) -> nn.Module:
        if task not in known:
            known[task] = project(task)
        return known[task]

    return of


def retrained(name: str, project: Project) -> Method:
    """DeViSE's projection alone, without a prior, as a method like any other."""

    def fit(task: Task, rehearsals: Sequence[Rehearsal]) -> Fitted:
        return Fitted(name, task.class_vectors, TrainedMap(project(task)))

    return fit


def calibrate(method: Method, task: Task, rehearsals: Sequence[Rehearsal]) -> Calibrated:
    """Fit a method to the task, and choose its factor as that of `devise` is: the mean of those
    that are best on each rehearsal, for which it is fitted anew, and chooses its hyperparameters
    on the others.
    """
    fitted = method(task, rehearsals)
    if not rehearsals or not fitted.class_vectors[task.unseen].any(axis=1).all():
        return Calibrated(fitted, None)
    factors = []
    for each in rehearsals:
        others = [_within(each, other) for other in rehearsals if other is not each]
        again = method(each.task, others)
        factors.append(tradeoff.best_factor(curve_on(again, task, each)))
    return Calibrated(fitted, float(np.mean(factors)))


def _within(outer: Rehearsal, other: Rehearsal) -> Rehearsal:
    """A rehearsal inside another: the held-out classes of both are held out."""
    known, left = outer.task.pretraining, other.task.pretraining
    gone = set() if known is None or left is None else set(known.categories) - set(left.categories)
    return rehearsal(outer.task, other.task.unseen, gone)


def _priors(priors: Priors | None, task: Task) -> tuple[Prior, ...]:
    if priors is None or task.pretraining is None:
        return ()
    return priors(task.pretraining)
