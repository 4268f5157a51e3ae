"""A bilinear score of image and class, trained to rank the right class first: ALE and SJE."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import MIN_STEPS, TrainingRows, training_rows
from devise_exp.methods.method import FittedMethod, Hyperparameters, SolverMethod
from devise_exp.methods.task import Task

EPOCHS = 10
BATCH = 32
# The loss is homogeneous and V starts at 0: a margin of c at a rate of c is V times c. So a higher
# rate is a smaller margin.
RATES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
Slope = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class RankingMap(SolverMethod):
    """V in the score F(x, y) = x V s_y, trained by SGD on a ranking loss; implement `_slope`.

    Features are at unit length about their training mean, scaled to a mean squared length of one.

    Attributes:
        name: As of Method.
        rates: Learning rates to choose among on class folds.
    """

    rates: Sequence[float] = RATES

    def __post_init__(self) -> None:
        check_rates(self.name, self.rates)

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The learning rates."""
        return {"rate": tuple(self.rates)}

    def _solver(self, task: Task) -> Callable[[Hyperparameters], FittedMethod]:
        rows = training_rows(task)

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            weights = _descend(rows, self._slope, hyperparameters["rate"], task.seed)
            return FittedMethod(
                task.class_vectors, lambda x: normalize_rows(rows.centred(x) @ weights)
            )

        return solve

    @staticmethod
    @abstractmethod
    def _slope(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Differentiate the loss, summed over images (N,), by the scores (N, S)."""


@dataclass(frozen=True, kw_only=True)
class ALE(RankingMap):
    """Attribute label embedding (Akata et al. 2016).

    The loss is the weighted approximate ranking loss of an image x of class y,
    b(r) / r * sum over classes z != y of max(0, 1 + F(x, z) - F(x, y)),
    where r is the number of positive terms and b(r) = 1 + 1/2 + ... + 1/r.

    With as few classes as here r is counted, not estimated by drawing classes.

    Attributes:
        name: As of Method.
        rates: As of RankingMap.
    """

    name: str = "ale"

    @staticmethod
    def _slope(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return ranking_slope(scores, targets)


@dataclass(frozen=True, kw_only=True)
class SJE(RankingMap):
    """Structured joint embedding (Akata et al. 2015, equation 5).

    The loss of an image x of class y is that of a structured SVM, in which the worst class alone
    counts: the maximum over classes z of max(0, [z != y] + F(x, z) - F(x, y)).

    Attributes:
        name: As of Method.
        rates: As of RankingMap.
    """

    name: str = "sje"

    @staticmethod
    def _slope(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return structured_slope(scores, targets)


def check_rates(name: str, rates: Sequence[float]) -> None:
    """Check learning rates.

    Args:
        name: Of the method.
        rates: The rates.

    Raises:
        InputError: If there is none, or one is not above 0.
    """
    if isinstance(rates, str) or not rates or not all(rate > 0 for rate in rates):
        raise InputError(f"method.{name}.rates={rates}: give learning rates above 0")


def _descend(rows: TrainingRows, slope_of: Slope, rate: float, seed: int) -> np.ndarray:
    """Train V (d, a) from V = 0 for EPOCHS epochs, and on small data for about MIN_STEPS steps."""
    vectors = rows.vectors
    weights = np.zeros((rows.features.shape[1], vectors.shape[1]), dtype=np.float32)
    for batch in batches(len(rows.features), np.random.default_rng(seed)):
        x = rows.features[batch]
        slope = slope_of(x @ weights @ vectors.T, rows.targets[batch])  # (B, S)
        weights -= np.float32(rate / len(batch)) * (x.T @ (slope @ vectors))
    return weights


def batches(n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw the batches of a training.

    Args:
        n: Number of rows.
        rng: Decides their order.

    Yields:
        Row numbers (B,), B at most BATCH, for EPOCHS epochs; on small data about MIN_STEPS steps.
    """
    n_batches = -(-n // BATCH)
    for _ in range(max(EPOCHS, MIN_STEPS // n_batches)):
        yield from np.array_split(rng.permutation(n), n_batches)


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


def structured_slope(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Differentiate the loss of SJE, summed over images, by the scores.

    Args:
        scores: (N, S) scores of images and seen classes.
        targets: (N,) right class of each image, in [0, S).

    Returns:
        (N, S) derivatives: 1 at the worst class and -1 at the right one, unless it is the worst.
    """
    rows = np.arange(len(scores))
    terms = 1 + scores - scores[rows, targets][:, None]
    terms[rows, targets] = 0
    slope = np.zeros_like(scores)
    slope[rows, terms.argmax(axis=1)] = 1
    slope[rows, targets] -= 1
    return slope
