"""Baselines that name seen classes only: the most frequent class, and the nearest class mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import class_means, seen_only_vectors
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.task import Task


@dataclass(frozen=True, kw_only=True)
class Majority(Method):
    """Rank the seen classes by their share of the training rows, whatever the image.

    Every image lies on the first axis of a plane, and the cosine of a class to that axis is the
    class's count over the largest count.

    Attributes:
        name: As of Method.
    """

    name: str = "majority"
    uses_seed = False
    names_unseen = False

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        counts = np.bincount(task.targets(task.train), minlength=len(task.seen))
        cosines = counts / counts.max()  # (S,)
        plane = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)  # (S, 2)
        first_axis = np.array([[1, 0]], dtype=np.float32)
        return FittedMethod(
            seen_only_vectors(task, plane), lambda x: first_axis.repeat(len(x), axis=0)
        )


@dataclass(frozen=True, kw_only=True)
class Prototypes(Method):
    """Nearest class mean (Mensink et al. 2013), with cosine instead of their learned metric.

    A seen class is the mean of its training images' unit features.

    Attributes:
        name: As of Method.
    """

    name: str = "prototypes"
    uses_seed = False
    names_unseen = False

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        features = normalize_rows(task.features[task.train])
        means = class_means(features, task.targets(task.train), len(task.seen))
        return FittedMethod(seen_only_vectors(task, normalize_rows(means)), normalize_rows)
