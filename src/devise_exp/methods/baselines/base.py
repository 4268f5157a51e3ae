"""What several baselines share."""

from __future__ import annotations

import numpy as np

from devise_exp.methods.task import Task

# Fewer steps of gradient descent would make softmax, ConSE and ALE easy to beat.
MIN_STEPS = 600


def class_means(rows: np.ndarray, targets: np.ndarray, n_classes: int) -> np.ndarray:
    """Average the rows of each class.

    Args:
        rows: (N, d) rows.
        targets: (N,) class of each row, from 0 on.
        n_classes: Number of classes; each has a row.

    Returns:
        (n_classes, d) float32 means.
    """
    means = [rows[targets == c].mean(axis=0, dtype=np.float64) for c in range(n_classes)]
    return np.array(means, dtype=np.float32)


def seen_only_vectors(task: Task, vectors: np.ndarray) -> np.ndarray:
    """Complete vectors of the seen classes by zero rows for the classes that cannot be named.

    Args:
        task: The task, with C classes.
        vectors: (S, d) rows, one per seen class.

    Returns:
        (C, d) float32 rows by class id.
    """
    rows = np.zeros((len(task.class_vectors), vectors.shape[1]), dtype=np.float32)
    rows[task.seen] = vectors
    return rows
