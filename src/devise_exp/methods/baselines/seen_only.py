"""Baselines that a trained model has to beat: those that name seen classes only, and ConSE.

A baseline is a method (task.Method): it learns from what a Task hands out and places images and
classes as unit vectors in one space, so that nearest neighbours by cosine evaluate them all alike.
What has hyperparameters chooses them on class folds, by `chosen`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import class_means, seen_only_vectors
from devise_exp.methods.task import ClassFold, FittedMethod, Task


def majority(task: Task, folds: Sequence[ClassFold] = ()) -> FittedMethod:
    """Ranks the seen classes by their share of the training rows, whatever the image.

    Every image lies on the first axis of a plane, and the cosine of a class to it is the class's
    count over the largest count.
    """
    counts = np.bincount(task.targets(task.train), minlength=len(task.seen))
    cosines = counts / counts.max()  # (S,)
    plane = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)  # (S, 2)
    vectors = seen_only_vectors(task, plane)
    first_axis = np.array([[1, 0]], dtype=np.float32)
    return FittedMethod("majority", vectors, lambda x: first_axis.repeat(len(x), axis=0))


def prototypes(task: Task, folds: Sequence[ClassFold] = ()) -> FittedMethod:
    """Nearest class mean (Mensink et al. 2013, with cosine for their learned metric): a seen class
    is the mean of its training images' unit features. Cannot name unseen classes.
    """
    features = normalize_rows(task.features[task.train])
    means = class_means(features, task.targets(task.train), len(task.seen))
    return FittedMethod(
        "prototypes", seen_only_vectors(task, normalize_rows(means)), normalize_rows
    )
