"""Methods that look at rows that are closed to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devise_exp.methods.method import FittedMethod
from devise_exp.methods.task import ClassFold, Task


def peek_at_unseen(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    """A method that looks at the images of unseen classes."""
    task.features[np.flatnonzero(np.isin(task.class_ids, task.unseen))]
    raise AssertionError("the features of unseen rows were had")


def peek_at_test(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    """A method that chooses by test images of seen classes."""
    seen = np.flatnonzero(np.isin(task.class_ids, task.seen))
    task.features[np.setdiff1d(seen, np.concatenate([task.train, task.val]))]
    raise AssertionError("the features of test rows were had")


def peek_in_fold(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    """A method that learns from held-out classes when a class fold is given."""
    inner = folds[0]
    inner.task.features[inner.unseen_rows]
    raise AssertionError("the features of held-out rows were had")
