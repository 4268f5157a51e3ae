"""ConSE (Norouzi et al. 2014), on the seen classes or on the classes of the pretraining."""

from __future__ import annotations

from dataclasses import dataclass

from devise_exp.core.errors import InputError
from devise_exp.methods import prior
from devise_exp.methods.baselines.softmax import seen_classifier
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.task import Task

TOP = 10  # T = 10 as in the paper


@dataclass(frozen=True, kw_only=True)
class ConSE(Method):
    """ConSE on the softmax classifier of the seen classes.

    An image lies at the mean of the vectors of its TOP most probable seen classes, weighted by
    their probability.

    Attributes:
        name: As of Method.
    """

    name: str = "conse"
    reports_search = True

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        classifier, seen_vectors = seen_classifier(task), task.class_vectors[task.seen]
        return FittedMethod(
            task.class_vectors,
            lambda x: prior.conse(classifier.probabilities(x), seen_vectors, TOP),
            {"top": TOP},
        )


@dataclass(frozen=True, kw_only=True)
class ConSEPretraining(Method):
    """ConSE on the backbone's own classifier and its pretraining classes: nothing is trained.

    Attributes:
        name: As of Method.
    """

    name: str = "conse_pretraining"
    uses_seed = False
    needs_pretraining = True
    reports_search = True

    def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
        classifier = task.pretraining
        if classifier is None:
            raise InputError(
                f"{self.name}: the classifier of the backbone's pretraining is unknown: leave this "
                "method out, or choose a backbone whose weights have one"
            )
        return FittedMethod(
            task.class_vectors,
            lambda x: prior.conse(classifier.probabilities(x), classifier.vectors, TOP),
            {"top": TOP},
        )
