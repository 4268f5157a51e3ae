"""The run's projection without a prior, and trained to random class vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from devise_exp.methods.devise_model import Project
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.task import Task
from devise_exp.text.word_vectors.vectors import random_word_vectors


@dataclass(frozen=True, kw_only=True)
class DeviseWithoutPrior(Method):
    """DeViSE's projection alone (Frome et al. 2013), without a prior.

    Attributes:
        name: As of Method.
        project: Trains the projection of a task.
    """

    name: str = "devise_without_prior"
    project: Project
    is_projection = True

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        return FittedMethod(task.class_vectors, TrainedProjection(self.project(task)))


@dataclass(frozen=True, kw_only=True)
class RandomVectors(Method):
    """DeViSE's control (Frome et al. 2013, section 4): every class has a random vector.

    No two classes are near each other by meaning or by a word they share, so unseen classes can be
    told apart by chance only.

    Attributes:
        name: As of Method.
        project: Trains the projection of a task.
        classes: Names of the C classes by class id, which decide their vectors with the seed.
    """

    name: str = "random_vectors"
    project: Project
    classes: tuple[str, ...]
    names_unseen = False
    is_projection = True
    reports_search = True

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        table = random_word_vectors(task.class_vectors.shape[1], task.seed)
        vectors = np.stack([table.vector(name) for name in self.classes])
        projection = self.project(replace(task, class_vectors=vectors))
        return FittedMethod(vectors, TrainedProjection(projection))
