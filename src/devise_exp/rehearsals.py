"""What a rehearsal says of a fitted method: the figures that every choice is made by."""

from __future__ import annotations

import numpy as np

from devise_exp import tradeoff
from devise_exp.index import ExactIndex
from devise_exp.task import Fitted, Rehearsal, Task
from devise_exp.tradeoff import Curve, Found


def curve_on(fitted: Fitted, task: Task, on: Rehearsal) -> Curve:
    """The trade-off curve of what was fitted to a rehearsal of `task`, on the rows to choose by."""
    sides = []
    for rows in (on.seen_rows, on.unseen_rows):
        images = fitted.embed(task.features[rows])
        seen, unseen = (_nearest(fitted, images, c) for c in (on.task.seen, on.task.unseen))
        sides.append(tradeoff.best_answers(seen, unseen, task.class_ids[rows]))
    return tradeoff.curve(*sides)


def _nearest(fitted: Fitted, images: np.ndarray, labels: np.ndarray) -> Found:
    places, similarity = ExactIndex(fitted.class_vectors[labels]).search(images, 1)
    return labels[places], similarity
