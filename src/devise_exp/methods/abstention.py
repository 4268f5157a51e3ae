"""Choose the threshold below which "none of the labels" is said, on class folds of seen classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devise_exp.evaluation.abstention import KnownScores, known_scores
from devise_exp.index.exact import ExactIndex
from devise_exp.methods.method import FittedMethod
from devise_exp.methods.task import ClassFold, Task


def fold_scores(fitted: FittedMethod, task: Task, fold: ClassFold) -> tuple[KnownScores, ...]:
    """Score the images of a class fold among all seen labels, with and without their own.

    Args:
        fitted: A method fitted to fold.task.
        task: The whole task, which has the features of the fold's held-out rows and no others.
        fold: The class fold.

    Returns:
        The scores of the images of its seen classes, and of those held out.
    """
    labels, sides = np.sort(task.seen), []
    index = ExactIndex(fitted.class_vectors[labels])
    for rows in (fold.seen_rows, fold.unseen_rows):
        positions, cosines = index.search(fitted.embed(task.features[rows]), 2)
        sides.append(known_scores((labels[positions], cosines), task.class_ids[rows]))
    return tuple(sides)


def choose_threshold(sides: Sequence[KnownScores]) -> float | None:
    """Choose the threshold that tells known from unknown images best.

    Args:
        sides: The scores of every side of every fold; each side weighs the same.

    Returns:
        The score of largest sum of the share of known images at or above it and that of unknown
        ones below it (Youden's index), the lowest of equals; None without images.
    """
    filled = [side for side in sides if len(side.known)]
    if not filled:
        return None
    known, unknown = (
        np.concatenate([getattr(side, kind) for side in filled]) for kind in ("known", "unknown")
    )
    weights = np.concatenate([np.full(len(side.known), 1 / len(side.known)) for side in filled])
    scores = np.concatenate([known, unknown]).astype(np.float64)
    gains = np.concatenate([weights, -weights])
    values, position = np.unique(scores, return_inverse=True)
    at_or_above = np.bincount(position, weights=gains)[::-1].cumsum()[::-1]
    # Rounding decides no tie: the lowest of equals says "none" to the fewest images.
    return float(values[np.flatnonzero(at_or_above >= at_or_above.max() - 1e-12)[0]])
