"""Scores that are no cosines, as cosines of one space.

Rankings are by cosine. A linear classifier ranks labels by inner products, whose class vectors have
different lengths; the maximum over several maps is no inner product at all. Both become cosines
here without a change of the ranking of the labels of an image.
"""

from __future__ import annotations

import numpy as np

from devise_exp.methods.task import Task


def labels_of(task: Task) -> np.ndarray:
    """List the classes of a task; in a class fold, the unseen classes of the run are none of them.

    Args:
        task: The task, or that of a fold.

    Returns:
        (L,) ids of the seen classes, then of the unseen ones.
    """
    return np.concatenate([task.seen, task.unseen])


def inner_product_vectors(task: Task, weights: np.ndarray) -> np.ndarray:
    """Lengthen weights by one coordinate, so that all class vectors have length one.

    Args:
        task: The task, with C classes.
        weights: (L, d) weights of `labels_of(task)`.

    Returns:
        (C, d + 1) float32 unit rows by class id, zero for others. The cosine with an image whose
        last coordinate is 0 is the inner product over the largest length of the weights.
    """
    scaled = weights.astype(np.float64)
    scaled /= max(float(np.linalg.norm(scaled, axis=1).max()), 1e-30)
    vectors = np.zeros((len(task.class_vectors), weights.shape[1] + 1), dtype=np.float32)
    vectors[labels_of(task)] = _lengthened(scaled)
    return vectors


def score_vectors(task: Task) -> np.ndarray:
    """Give each class of a task an axis of its own.

    Args:
        task: The task, with C classes.

    Returns:
        (C, L + 1) float32 unit rows by class id, zero for classes that are none of the task's.
    """
    labels = labels_of(task)
    vectors = np.zeros((len(task.class_vectors), len(labels) + 1), dtype=np.float32)
    vectors[labels, np.arange(len(labels))] = 1
    return vectors


def score_rows(scores: np.ndarray, n_classes: int) -> np.ndarray:
    """Embed images by their scores of all labels.

    Args:
        scores: (N, L) scores of `labels_of` a task, in [-1, 1].
        n_classes: Number C of classes of the task.

    Returns:
        (N, L + 1) float32 unit rows: the cosine with a class is its score over the root of C, so
        gammas of a class fold, which has fewer labels, hold for the whole task.
    """
    return _lengthened(scores.astype(np.float64) / np.sqrt(n_classes))


def _lengthened(rows: np.ndarray) -> np.ndarray:
    """Add a coordinate that makes rows (n, d) of at most length one unit rows."""
    rest = np.sqrt(np.maximum(1 - (rows**2).sum(axis=1, keepdims=True), 0))
    longer: np.ndarray = np.concatenate([rows, rest], axis=1).astype(np.float32)
    return longer
