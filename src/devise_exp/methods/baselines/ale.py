"""ALE: a bilinear score of image and class, trained to rank the right class first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import MIN_STEPS
from devise_exp.methods.method import FittedMethod, Hyperparameters, SolverMethod
from devise_exp.methods.task import Task

EPOCHS = 10
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class ALE(SolverMethod):
    """Attribute label embedding (Akata et al. 2016).

    V in the score F(x, y) = x V s_y is trained by SGD on the weighted approximate ranking loss of
    an image x of class y,
    b(r) / r * sum over classes z != y of max(0, 1 + F(x, z) - F(x, y)),
    where r is the number of positive terms and b(r) = 1 + 1/2 + ... + 1/r.

    With as few classes as here r is counted, not estimated by drawing classes. Features are at unit
    length about their training mean, scaled to a mean squared length of one.

    Attributes:
        name: As of Method.
        rates: Learning rates to choose among on class folds.
    """

    name: str = "ale"
    rates: Sequence[float] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)

    def __post_init__(self) -> None:
        rates = self.rates
        if isinstance(rates, str) or not rates or not all(rate > 0 for rate in rates):
            raise InputError(f"method.{self.name}.rates={rates}: give learning rates above 0")

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The learning rates."""
        return {"rate": tuple(self.rates)}

    def _solver(self, task: Task) -> Callable[[Hyperparameters], FittedMethod]:
        features = normalize_rows(task.features[task.train])
        centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        features -= centre
        features /= max(float(np.sqrt((features**2).sum(axis=1).mean())), 1e-12)
        targets = task.targets(task.train)
        vectors = task.class_vectors[task.seen].astype(np.float32)

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            rate = hyperparameters["rate"]
            weights = _descend(features, targets, vectors, rate, task.seed)
            return FittedMethod(
                task.class_vectors,
                lambda x: normalize_rows((normalize_rows(x) - centre) @ weights),
            )

        return solve


def _descend(
    features: np.ndarray, targets: np.ndarray, vectors: np.ndarray, rate: float, seed: int
) -> np.ndarray:
    """Train V (d, a) from V = 0 for EPOCHS epochs, and on small data for MIN_STEPS steps."""
    weights = np.zeros((features.shape[1], vectors.shape[1]), dtype=np.float32)
    rng = np.random.default_rng(seed)
    n_batches = -(-len(features) // BATCH)
    for _ in range(max(EPOCHS, MIN_STEPS // n_batches)):
        for batch in np.array_split(rng.permutation(len(features)), n_batches):
            x = features[batch]
            slope = ranking_slope(x @ weights @ vectors.T, targets[batch])  # (B, S)
            weights -= np.float32(rate / len(batch)) * (x.T @ (slope @ vectors))
    return weights


def ranking_slope(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Differentiate the ranking loss of ALE, summed over images, by the scores.

    Args:
        scores: (N, S) scores of images and seen classes.
        targets: (N,) right class of each image, in [0, S).

    Returns:
        (N, S) derivatives.
    """
    rows = np.arange(len(scores))
    terms = 1 + scores - scores[rows, targets][:, None]
    terms[rows, targets] = 0
    positive = terms > 0
    ranks = np.arange(1, scores.shape[1] + 1)
    weight_of = np.concatenate([[0], np.cumsum(1 / ranks) / ranks]).astype(np.float32)  # b(r) / r
    slope: np.ndarray = positive * weight_of[positive.sum(axis=1)][:, None]
    slope[rows, targets] = -slope.sum(axis=1)
    return slope
