"""What a method may learn from, and the guard that keeps it from learning from anything else.

Model choice, early stopping, calibration and hyperparameters see seen classes only: a `Task` hands
out features of training and validation rows, and its `class_fold` holds out some of the seen
classes to play the unseen ones.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np

from devise_exp.core.row_shards import Rows
from devise_exp.data.splits import Split
from devise_exp.methods.joint_texts import JointTexts
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


def rows_to_learn_from(split: Split, n: int) -> np.ndarray:
    """Tell training and validation rows from test rows and rows of unseen classes.

    Args:
        split: The split.
        n: Number N of rows of the dataset.

    Returns:
        (N,) bool, true for training and validation rows.
    """
    is_open = np.zeros(n, dtype=bool)
    is_open[split.train] = is_open[split.val] = True
    return is_open


def allowed_rows(rows: np.ndarray, is_open: np.ndarray) -> np.ndarray:
    """Check that rows may be read before the final evaluation.

    Args:
        rows: (n,) numbers of rows.
        is_open: (N,) bool, the rows that may be read.

    Returns:
        The rows.

    Raises:
        SelectionError: If a row is not open, or rows are not given by their numbers.
    """
    rows, n = np.asarray(rows), len(is_open)
    by_number = rows.ndim == 1 and rows.dtype.kind in "iu"
    if not by_number or (rows < 0).any() or (rows >= n).any():
        raise SelectionError(f"ask for rows by their numbers, from 0 to {n - 1}, in one array")
    if not is_open[rows].all():
        closed = rows[~is_open[rows]]
        raise SelectionError(
            f"{len(closed)} rows of unseen classes or test rows (row {closed[0]} first) were "
            "asked for before the final evaluation: choose by training and validation rows"
        )
    return rows


@dataclass(frozen=True, eq=False)
class GuardedFeatures:
    """Features that hand out training and validation rows only.

    Indexing by an array of row numbers gives (n, feature_dim) features. It raises SelectionError
    for any other row: a method that learns from such rows says nothing about unseen classes.

    Attributes:
        features: (N, feature_dim) features of all rows.
        open: (N,) bool, the rows that are handed out.
    """

    features: Rows = field(repr=False)
    open: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.features[allowed_rows(rows, self.open)])

    def __reduce__(self) -> NoReturn:
        raise TypeError("features are not pickled: they may be larger than memory")

    @property
    def dim(self) -> int:
        """Width of the features."""
        return int(self.features.shape[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A zero-shot task as a method may see it.

    Attributes:
        features: Guarded features (N, feature_dim) of all rows.
        class_ids: (N,) class id of each row.
        class_vectors: (C, D) unit rows by class id, of seen and unseen classes.
        seen: (S,) ids of the seen classes, sorted.
        unseen: (U,) ids of the unseen classes, sorted.
        train: Training rows, all of seen classes.
        val: Validation rows, all of seen classes.
        seed: Seed of the training.
        pretraining: The backbone's own classifier, None if that is unknown.
        images: (N,) the lowest row that shows the same image; None: no image is in two classes.
        texts: The classes in the space of the features, None if the backbone has no text tower.
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
    images: np.ndarray | None = None
    texts: JointTexts | None = None

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """Number the classes of rows among the seen classes.

        Args:
            rows: (n,) rows of seen classes.

        Returns:
            (n,) int64 positions in `seen`.
        """
        return seen_targets(self.class_ids[rows], self.seen)


@dataclass(frozen=True, eq=False)
class ClassFold:
    """A task in which some seen classes play the unseen ones, so that choices can be made on it.

    Attributes:
        task: What may be learned from; its unseen classes are those held out.
        seen_rows: Rows to choose by, of its seen classes. The whole task has their features.
        unseen_rows: Rows to choose by, of the classes held out.
    """

    task: Task
    seen_rows: np.ndarray
    unseen_rows: np.ndarray

    @property
    def is_whole(self) -> bool:
        """Whether every seen class has training rows, and there are rows to choose by."""
        trained = np.unique(self.task.class_ids[self.task.train])
        return len(trained) == len(self.task.seen) and len(self.seen_rows) > 0


def make_task(
    split: Split,
    class_ids: np.ndarray,
    class_vectors: np.ndarray,
    features: Rows,
    seed: int,
    pretraining: PretrainedClassifier | None = None,
    images: np.ndarray | None = None,
) -> Task:
    """Make the task of a split, with test rows and rows of unseen classes closed.

    Args:
        split: Seen and unseen classes, and their rows.
        class_ids: (N,) class id of each row.
        class_vectors: (C, D) unit rows by class id.
        features: (N, feature_dim) features of all rows.
        seed: Seed of the training.
        pretraining: The backbone's own classifier, None if that is unknown.
        images: (N,) the lowest row that shows the same image; None: no image is in two classes.

    Returns:
        The task.
    """
    return Task(
        features=GuardedFeatures(features, rows_to_learn_from(split, len(features))),
        class_ids=class_ids,
        class_vectors=class_vectors,
        seen=split.seen,
        unseen=split.unseen,
        train=split.train,
        val=split.val,
        seed=seed,
        pretraining=pretraining,
        images=images,
    )


def class_fold(task: Task, held_out: np.ndarray, overlapping: Collection[str] = ()) -> ClassFold:
    """Let some seen classes of a task play the unseen ones.

    Rows of other classes that show an image of the classes held out are left out.

    Args:
        task: The whole task.
        held_out: Ids of the seen classes to hold out.
        overlapping: Names of the pretraining classes to leave out, as those classes overlap them.

    Returns:
        The class fold. The rows to choose by are the validation rows of the classes left, and the
        training and validation rows of the classes held out.
    """
    is_held_out = np.isin(task.class_ids, held_out)
    both = np.concatenate([task.train, task.val])
    is_shown = is_held_out
    if task.images is not None:
        is_shown = is_held_out | np.isin(task.images, task.images[both[is_held_out[both]]])
    train, val = (rows[~is_shown[rows]] for rows in (task.train, task.val))
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
