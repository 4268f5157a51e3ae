"""What several baselines share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.task import Task

# Fewer steps of gradient descent would make softmax, ConSE and ALE easy to beat.
MIN_STEPS = 600


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRows:
    """The training images of a task, at unit length about their mean.

    Attributes:
        centre: (d,) mean of the unit features.
        features: (N, d) float32 unit features about the centre, scaled to a mean squared length of
            one.
        scale: What they were divided by.
        targets: (N,) classes, from 0 on.
        vectors: (S, a) float32 vectors of the seen classes.
    """

    centre: np.ndarray
    features: np.ndarray
    scale: float
    targets: np.ndarray
    vectors: np.ndarray

    def centred(self, features: np.ndarray) -> np.ndarray:
        """Take features as those of the training images, but for the scale.

        Args:
            features: (n, d) features.

        Returns:
            (n, d) unit features about the centre.
        """
        rows: np.ndarray = normalize_rows(features) - self.centre
        return rows


def training_rows(task: Task) -> TrainingRows:
    """Take the training images of a task at unit length, about their mean, at one scale.

    Args:
        task: What may be learned from.

    Returns:
        The images with their classes.
    """
    features = normalize_rows(task.features[task.train])
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    features -= centre
    scale = max(float(np.sqrt((features**2).sum(axis=1).mean())), 1e-12)
    features /= scale
    return TrainingRows(
        centre=centre,
        features=features,
        scale=scale,
        targets=task.targets(task.train),
        vectors=task.class_vectors[task.seen].astype(np.float32),
    )


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
