"""Choose hyperparameters, and the gamma of calibrated stacking, on class folds.

In a class fold some seen classes play the unseen ones, so neither unseen classes nor test images
take part in a choice. The criterion is the area under the seen-unseen curve (AUSUC, Chao et al.
2016), averaged over the folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from devise_exp.evaluation.metrics.calibrated_stacking import SearchResult
from devise_exp.evaluation.metrics.tradeoff import Curve, ausuc, top_answers
from devise_exp.index.exact import ExactIndex
from devise_exp.methods.gamma import FoldAnswers, GammaChoice, choose_gamma
from devise_exp.methods.method import CalibratedMethod, FittedMethod, FunctionMethod, Method
from devise_exp.methods.task import ClassFold, Task, class_fold

MAX_OTHERS = 3  # folds within a fold: the trainings of n folds are no n times n


def choose_hyperparameters(
    method: Method, task: Task, folds: Sequence[ClassFold]
) -> dict[str, Any]:
    """Choose among `method.param_grid` by the largest mean AUSUC over the folds.

    Args:
        method: The method, which is fitted to every fold with every combination.
        task: The whole task.
        folds: Class folds of the task.

    Returns:
        The best combination, the first of equals, and its "rehearsal/AUSUC". The middle of the
        combinations, without a metric, if there are no folds or there is nothing to choose.
    """
    grid = method.combinations()
    return choose_combination(grid, lambda of: method.fit_grid(of, grid), task, folds)


def choose_combination(
    grid: Sequence[dict[str, Any]],
    fits: Callable[[Task], Iterable[FittedMethod]],
    task: Task,
    folds: Sequence[ClassFold],
) -> dict[str, Any]:
    """Choose among combinations of hyperparameters, as `choose_hyperparameters` does.

    Args:
        grid: The combinations.
        fits: Fits a method to the task of a fold, once per combination.
        task: The whole task.
        folds: Class folds of the task.

    Returns:
        As `choose_hyperparameters`.
    """
    if not folds or len(grid) == 1:
        return grid[len(grid) // 2]
    areas = np.zeros(len(grid))
    for fold in folds:
        for i, fitted in enumerate(fits(fold.task)):
            areas[i] += ausuc(fold_curve(fitted, task, fold))
    areas = np.round(areas / len(folds), 9)  # rounding errors decide no tie
    best = int(areas.argmax())
    return grid[best] | {"rehearsal/AUSUC": float(areas[best])}


def fit_method(method: Method, task: Task, folds: Sequence[ClassFold] = ()) -> FittedMethod:
    """Choose the hyperparameters of a method on class folds, and fit it to the whole task.

    Args:
        method: The method.
        task: The whole task.
        folds: Class folds of the task; none, if there is nothing to choose on.

    Returns:
        The fitted method, with what `choose_hyperparameters` returns.
    """
    if isinstance(method, FunctionMethod):
        return method.function(task, folds)
    chosen = choose_hyperparameters(method, task, folds)
    fitted = method.fit(task, chosen)
    return replace(fitted, hyperparameters=fitted.hyperparameters | chosen)


def calibrate(method: Method, task: Task, folds: Sequence[ClassFold]) -> CalibratedMethod:
    """Fit a method to the whole task, and choose its gamma on class folds.

    Gamma is that of `choose_gamma`. For each fold the method is fitted again, and its
    hyperparameters are chosen on the other folds, MAX_OTHERS of those without a class in common.

    Args:
        method: The method.
        task: The whole task.
        folds: Class folds of the task.

    Returns:
        The calibrated method; its gamma is None without folds, or if the method cannot name all
        unseen classes.
    """
    fitted = fit_method(method, task, folds)
    can_name = method.names_unseen and fitted.class_vectors[task.unseen].any(axis=1).all()
    answers = []
    for fold in folds if can_name else ():
        within = [_within(fold, other) for other in _disjoint(fold, folds)]
        others = [other for other in within if other.is_whole]
        answers.append(fold_answers(fit_method(method, fold.task, others), task, fold))
    return calibrated(method, fitted, choose_gamma(answers, len(task.seen)) if answers else None)


def calibrated(method: Method, fitted: FittedMethod, gamma: GammaChoice | None) -> CalibratedMethod:
    """Pair a fitted method with its gamma.

    Args:
        method: The method that was fitted.
        fitted: What it was fitted to.
        gamma: Gamma of calibrated stacking with its spread, None for none.

    Returns:
        The calibrated method.
    """
    return CalibratedMethod(
        name=method.name,
        fitted=fitted,
        gamma=None if gamma is None else gamma.value,
        gamma_spread=None if gamma is None else gamma.spread,
        is_projection=method.is_projection,
        reports_search=method.reports_search,
    )


def fold_curve(fitted: FittedMethod, task: Task, fold: ClassFold) -> Curve:
    """Trace hit@1 of seen against unseen images of a fold, over all gammas.

    Args:
        fitted: A method fitted to fold.task.
        task: The whole task, which has the features of the fold's held-out rows.
        fold: The class fold.

    Returns:
        The trade-off curve, by class means of hit@1 among all labels.
    """
    return fold_answers(fitted, task, fold).curve


def fold_answers(fitted: FittedMethod, task: Task, fold: ClassFold) -> FoldAnswers:
    """Find the best answers to the images of a fold.

    Args:
        fitted: A method fitted to fold.task.
        task: The whole task, which has the features of the fold's held-out rows.
        fold: The class fold.

    Returns:
        The answers to its seen and to its held-out images.
    """
    sides = []
    for rows in (fold.seen_rows, fold.unseen_rows):
        images = fitted.embed(task.features[rows])
        seen, unseen = (_nearest(fitted, images, c) for c in (fold.task.seen, fold.task.unseen))
        sides.append(top_answers(seen, unseen, task.class_ids[rows]))
    return FoldAnswers(*sides)


def _disjoint(fold: ClassFold, folds: Sequence[ClassFold]) -> list[ClassFold]:
    """The first folds that hold out other classes alone."""
    held_out = fold.task.unseen
    return [f for f in folds if not np.isin(f.task.unseen, held_out).any()][:MAX_OTHERS]


def _within(outer: ClassFold, other: ClassFold) -> ClassFold:
    """Hold out the classes of both folds: `other` within the task of `outer`."""
    pretraining, rest = outer.task.pretraining, other.task.pretraining
    removed: set[str] = set()
    if pretraining is not None and rest is not None:
        removed = set(pretraining.categories) - set(rest.categories)
    return class_fold(outer.task, other.task.unseen, removed)


def _nearest(fitted: FittedMethod, images: np.ndarray, labels: np.ndarray) -> SearchResult:
    """Find each image's nearest of the class ids `labels`."""
    positions, similarities = ExactIndex(fitted.class_vectors[labels]).search(images, 1)
    return labels[positions], similarities
