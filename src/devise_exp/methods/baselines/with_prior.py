"""Any method together with the prior, so that no method wins by knowing more than another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.methods.additions import best_addition
from devise_exp.methods.method import FittedMethod, FunctionMethod, Hyperparameters, Method
from devise_exp.methods.prior import BATCH_ROWS, Prior, priors
from devise_exp.methods.selection import fit_method, fold_curve
from devise_exp.methods.task import ClassFold, Task
from devise_exp.methods.word_classifiers import side_by_side

WEIGHT = "prior/weight"  # its name among the hyperparameters, as that of the trained model


@dataclass(frozen=True, kw_only=True)
class WithPrior(FunctionMethod):
    """A method whose similarities have a share of those of the prior.

    The prior is that of the trained model (ConSE of the pretraining, Norouzi et al. 2014): an image
    lies at the mixture of the words of its most probable pretraining classes. The similarity of an
    image and a class is the weighted mean of two cosines, that of the method and that of the prior,
    so the method may compare them in any space. The prior weighs `weight` times as much as the
    method: each cosine is divided by its spread, the deviation over the seen labels of validation
    images, since the cosines of some methods spread ten times as far as those of others.

    The hyperparameters of the method are those that it chooses alone; the weight is then chosen on
    class folds as for the trained model (`best_addition`).

    Attributes:
        name: As of Method; if it is empty, that of the method and "_prior".
        function: As of FunctionMethod; made of the others.
        method: The method that gets the prior; it has to name unseen classes.
        weights: Weights of the prior to choose among; none, 0, is tried too.
        temperature: As of conf/prior.
        top: As of conf/prior.
    """

    name: str = ""
    function: Callable[[Task, Sequence[ClassFold]], FittedMethod] = field(init=False)
    method: Method
    weights: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0)
    temperature: float = 2.0
    top: int = 10
    needs_pretraining = True

    def __post_init__(self) -> None:
        method = self.method
        name = type(method).__name__
        if not isinstance(method, Method) or isinstance(method, FunctionMethod):
            raise InputError(
                f"{name} with a prior: no class of methods: give a subclass of "
                "devise_exp.methods.method.Method, such as ESZSL"
            )
        if not method.names_unseen:
            raise InputError(
                f"{name} with a prior: it names no unseen class: give a method that does, such as "
                "ESZSL"
            )
        object.__setattr__(self, "function", self._choose)
        object.__setattr__(self, "name", self.name or f"{method.name}_prior")
        for trait in ("uses_seed", "needs_texts", "reports_search"):  # those of the method
            object.__setattr__(self, trait, getattr(method, trait))

    def fit(self, task: Task, hyperparameters: Hyperparameters | None = None) -> FittedMethod:
        """Fit with hyperparameters that were chosen before; without any, nothing is added."""
        chosen = dict(hyperparameters or {})
        fitted, weight = self.method.fit(task, chosen), float(chosen.get(WEIGHT, 0))
        return replace(self._weighted(fitted, task, [weight])[0], hyperparameters=chosen)

    def _choose(self, task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
        alone = fit_method(self.method, task, folds)
        weights = (0.0, *map(float, self.weights))
        curves = []
        for fold in folds:
            fitted = self.method.fit(fold.task, alone.hyperparameters)
            with_each = self._weighted(fitted, fold.task, weights)
            curves.append([fold_curve(one, task, fold) for one in with_each])
        best, metrics = best_addition(curves) if folds else (0, {})
        chosen = self._weighted(alone, task, weights[best : best + 1])[0]
        numbers = {**alone.hyperparameters, WEIGHT: weights[best], **metrics}
        return replace(chosen, hyperparameters=numbers)

    def _weighted(
        self, fitted: FittedMethod, task: Task, weights: Sequence[float]
    ) -> list[FittedMethod]:
        """Give the prior each weight beside a fitted method; a weight of 0 leaves it as it is."""
        if task.pretraining is None or not any(weights):
            return [fitted for _ in weights]
        (prior,) = priors(task.pretraining, [1.0], self.temperature, self.top)
        wider, narrower = _spreads(fitted, prior, task)
        shares = [w * wider / max(narrower + w * wider, 1e-12) for w in weights]
        return [_joined(fitted, prior, task, share) for share in shares]


def _spreads(fitted: FittedMethod, prior: Prior, task: Task) -> tuple[float, float]:
    """The spread over the seen labels of the cosines of a method, and of those of the prior."""
    rows = task.val if len(task.val) else task.train
    rows = rows[:: -(-len(rows) // BATCH_ROWS)]
    features = task.features[rows]
    pairs = (
        (fitted.embed(features), fitted.class_vectors),
        (prior.directions(features), task.class_vectors),
    )
    cosines = (images @ labels[task.seen].T for images, labels in pairs)
    of_method, of_prior = (float(np.sqrt(c.var(axis=1).mean())) for c in cosines)
    return of_method, of_prior


def _joined(fitted: FittedMethod, prior: Prior, task: Task, share: float) -> FittedMethod:
    """Put the space of a method and that of words side by side."""
    if share == 0:
        return fitted
    vectors = side_by_side(fitted.class_vectors, task.class_vectors, share)
    vectors[~fitted.class_vectors.any(axis=1) | ~task.class_vectors.any(axis=1)] = 0
    return FittedMethod(
        vectors, lambda x: side_by_side(fitted.embed(x), prior.directions(x), share)
    )
