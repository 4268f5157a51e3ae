"""What several baselines share."""

from __future__ import annotations

import numpy as np

from devise_exp.methods.task import Task

LEAST_STEPS = 600
# What these make of a split, no seed of the training changes.
SEEDLESS = ("majority", "prototypes", "conse_pretraining", "eszsl", "sae", "ridge_to_features")


def class_means(rows: np.ndarray, targets: np.ndarray, n_classes: int) -> np.ndarray:
    """(n_classes, d) float32: the mean of each class's rows (N, d); targets (N,) from 0 on."""
    means = [rows[targets == c].mean(axis=0, dtype=np.float64) for c in range(n_classes)]
    return np.array(means, dtype=np.float32)


def seen_only_vectors(task: Task, vectors: np.ndarray) -> np.ndarray:
    """(C, d) float32: `vectors` (S, d) of the seen classes, zero rows for all others."""
    rows = np.zeros((len(task.class_vectors), vectors.shape[1]), dtype=np.float32)
    rows[task.seen] = vectors
    return rows
