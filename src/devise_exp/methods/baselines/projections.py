"""The run's projection alone, with some of its additions, and trained to random class vectors.

The control trains all draws of random vectors at once: its projection is as wide as all of them
side by side, so a linear projection is a training for each draw, and the hidden layer of a deeper
one is shared. Given the embeddings, the vectors of the unseen classes are exchangeable (the
training has seen none of them), so in each draw the expected hit@1 among unseen labels is exactly
that of chance, and the draws are independent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from devise_exp.methods.additions import Additions, Classifiers, Project
from devise_exp.methods.devise_model import devise
from devise_exp.methods.embedding import TrainedProjection
from devise_exp.methods.method import FittedMethod, FunctionMethod, Hyperparameters, Method
from devise_exp.methods.prior import Priors
from devise_exp.methods.task import ClassFold, Task
from devise_exp.text.word_vectors.vectors import random_word_vectors

_APART = 1_000_003  # the seeds of draws, so that no two seeds of a series share a draw


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
class DeviseWith(FunctionMethod):
    """DeViSE's projection with some of the run's additions, chosen as the run chooses its own.

    Attributes:
        name: As of Method.
        function: As of FunctionMethod; made of the others.
        project: Trains the projection of a task.
        priors: Makes the priors to choose among; None for none.
        classifiers: The predicted classifiers; None for none.
    """

    function: Callable[[Task, Sequence[ClassFold]], FittedMethod] = field(init=False)
    project: Project
    priors: Priors | None = None
    classifiers: Classifiers | None = None
    is_projection = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "function", self._choose)

    @property
    def uses_pretraining(self) -> bool:
        """Whether anything is added: all additions learn from the pretraining."""
        return self.priors is not None or self.classifiers is not None

    def fit(self, task: Task, hyperparameters: Hyperparameters | None = None) -> FittedMethod:
        """Fit with hyperparameters that were chosen before; without any, nothing is added."""
        chosen, trained = dict(hyperparameters or {}), TrainedProjection(self.project(task))
        if chosen:
            prefix = "classifiers/"
            names = [name.removeprefix(prefix) for name in chosen if name.startswith(prefix)]
            numbers = {name: chosen[prefix + name] for name in names}
            share = numbers.pop("share", 0.0)
            classifiers = self.classifiers.chosen(numbers) if self.classifiers and share else None
            additions = Additions(priors=self.priors, classifiers=classifiers)
            prior, shared = additions.chosen(task, chosen.get("prior/weight", 0.0), share)
            trained = replace(trained, prior=prior, classifiers=shared)
        return FittedMethod(trained.words(task.class_vectors), trained, chosen)

    def _choose(self, task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
        parts = (self.project, self.priors, self.classifiers)
        return devise(self.project(task), *parts, task, folds)[0].fitted


@dataclass(frozen=True, kw_only=True)
class RandomVectors(Method):
    """DeViSE's control (Frome et al. 2013, section 4): every class has a random vector.

    No two classes are near each other by meaning or by a word they share, so unseen classes can be
    told apart by chance only.

    Attributes:
        name: As of Method.
        project: Trains the projection of a task whose class vectors (C, draws * D) are those of all
            draws side by side, each of length 1.
        classes: Names of the C classes by class id, which decide their vectors with the seed.
        draws: Number of sets of random vectors.
    """

    name: str = "random_vectors"
    project: Project
    classes: tuple[str, ...]
    draws: int = 10
    names_unseen = False
    is_projection = True
    reports_search = True

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        dim = task.class_vectors.shape[1]
        tables = [random_word_vectors(dim, task.seed + _APART * i) for i in range(self.draws)]
        vectors = np.stack(
            [np.concatenate([table.vector(name) for table in tables]) for name in self.classes]
        )
        projection = self.project(replace(task, class_vectors=vectors))
        embed = TrainedProjection(projection)
        return FittedMethod(vectors, embed, {"draws": self.draws}, self.draws)
