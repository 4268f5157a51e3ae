"""What a method may learn from, and the guard that keeps it from learning from anything else.

Model choice, early stopping, calibration and hyperparameters see seen classes only: a `Task` hands
out features of training and validation rows, and its `class_fold` holds out some of the seen
classes to play the unseen ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from devise_exp.data.splits import Split
from devise_exp.methods.prior import PretrainedClassifier


def seen_targets(class_ids: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Number the seen classes from 0 on, as losses and classifiers need it.

    Args:
        class_ids: (N,) ids of seen classes.
        seen: (S,) ids of all seen classes, sorted.

    Returns:
        (N,) int64 positions in `seen`.
    """
    targets: np.ndarray = np.searchsorted(seen, class_ids)
    return targets


class SelectionError(RuntimeError):
    """A row of an unseen class, or a test row, was asked for before the final evaluation."""


@dataclass(frozen=True, eq=False)
class GuardedFeatures:
    """Features (N, feature_dim) of which only the rows in `open` can be had.

    SelectionError for any other row: what trains or is chosen on such rows says nothing about
    unseen classes.
    """

    features: np.ndarray = field(repr=False)
    open: np.ndarray  # (N,) bool

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        rows, n = np.asarray(rows), len(self.open)
        by_number = rows.ndim == 1 and rows.dtype.kind in "iu"
        if not by_number or (rows < 0).any() or (rows >= n).any():
            raise SelectionError(f"ask for rows by their numbers, from 0 to {n - 1}, in one array")
        if not self.open[rows].all():
            closed = rows[~self.open[rows]]
            raise SelectionError(
                f"{len(closed)} rows of unseen classes or test rows (row {closed[0]} first) were "
                "asked for before the final evaluation: choose by training and validation rows"
            )
        return np.asarray(self.features[rows])

    @property
    def dim(self) -> int:
        """feature_dim."""
        return int(self.features.shape[1])


@dataclass(frozen=True, eq=False)
class Task:
    """A zero-shot task as a method may see it.

    class_ids: (N,) per row; class_vectors: (C, D) unit rows, of seen and unseen classes; seen and
    unseen: class ids; train and val: rows of seen classes. pretraining: what the backbone's own
    classifier knows, None where there is none.
    """

    features: GuardedFeatures
    class_ids: np.ndarray
    class_vectors: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray
    train: np.ndarray
    val: np.ndarray
    seed: int
    pretraining: PretrainedClassifier | None = None

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """Rows of seen classes to positions among the seen classes, (len(rows),) int64."""
        return seen_targets(self.class_ids[rows], self.seen)


@dataclass(frozen=True, eq=False)
class ClassFold:
    """A task whose unseen classes are seen ones, held out, so that choices can be made on it.

    task: what to learn from; seen_rows and unseen_rows: rows to choose by, of its seen and of its
    held-out classes, whose features are to be had of the whole task.
    """

    task: Task
    seen_rows: np.ndarray
    unseen_rows: np.ndarray


@dataclass(frozen=True, eq=False)
class FittedMethod:
    """What a method made of a task: images and classes as unit vectors of one space.

    class_vectors: (C, D) rows, zero for a class that the method cannot name; embed: features
    (n, feature_dim) to (n, D) unit rows; hyperparameters: those it chose.
    """

    name: str
    class_vectors: np.ndarray
    embed: Callable[[np.ndarray], np.ndarray]
    hyperparameters: dict[str, Any] = field(default_factory=dict)


Method = Callable[[Task, Sequence[ClassFold]], FittedMethod]


def make_task(
    split: Split,
    class_ids: np.ndarray,
    class_vectors: np.ndarray,
    features: np.ndarray,
    seed: int,
    pretraining: PretrainedClassifier | None = None,
) -> Task:
    """The task of a split; features: (N, feature_dim) of all rows, those of no use closed."""
    open_rows = np.zeros(len(features), dtype=bool)
    open_rows[split.train] = open_rows[split.val] = True
    return Task(
        GuardedFeatures(features, open_rows),
        class_ids,
        class_vectors,
        split.seen,
        split.unseen,
        split.train,
        split.val,
        seed,
        pretraining,
    )


def class_fold(task: Task, held_out: np.ndarray, overlapping: Collection[str] = ()) -> ClassFold:
    """The task without the seen classes `held_out` (class ids), which play the unseen ones; their
    training and validation rows are those to choose by. overlapping: pretraining classes to
    leave out.
    """
    is_held_out = np.isin(task.class_ids, held_out)
    train, val = (rows[~is_held_out[rows]] for rows in (task.train, task.val))
    both = np.concatenate([task.train, task.val])
    opened = np.zeros_like(task.features.open)
    opened[train] = opened[val] = True
    inner = replace(
        task,
        features=replace(task.features, open=opened),
        seen=np.setdiff1d(task.seen, held_out),
        unseen=np.sort(held_out),
        train=train,
        val=val,
        pretraining=None if task.pretraining is None else task.pretraining.without(overlapping),
    )
    return ClassFold(inner, val, both[is_held_out[both]])
