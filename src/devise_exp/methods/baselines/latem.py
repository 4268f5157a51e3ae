"""LATEM: several bilinear maps, of which each pair of image and class takes the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.methods.baselines.ale import batches, check_rates
from devise_exp.methods.baselines.base import TrainingRows, training_rows
from devise_exp.methods.baselines.label_space import labels_of, score_rows, score_vectors
from devise_exp.methods.method import FittedMethod, Hyperparameters, SolverMethod
from devise_exp.methods.task import Task

IMAGES = 4096  # embedded at a time


@dataclass(frozen=True, kw_only=True)
class LATEM(SolverMethod):
    """Latent embeddings (Xian et al. 2016, equation 3 and algorithm 1).

    The score of an image and a class is F(x, s) = max over i of x W_i s. For an image x of class y
    and one other class z, drawn anew in every step, with 1 + F(x, z) - F(x, y) above 0, the map
    that is best for z loses rate times x z', and the one that is best for y gains rate times x y'.

    Steps are means over batches. Features are at unit length about their training mean, scaled to a
    mean squared length of one. The number of maps is chosen on class folds, not by pruning. To be
    compared with other images, scores are divided by the length of the longest x W_i.

    Attributes:
        name: As of Method.
        maps: Numbers of maps to choose among on class folds.
        rates: Learning rates to choose among on class folds.
    """

    name: str = "latem"
    maps: Sequence[int] = (2, 4, 8)
    rates: Sequence[float] = (3.0, 30.0, 300.0)

    def __post_init__(self) -> None:
        check_rates(self.name, self.rates)
        if not self.maps or not all(type(n) is int and n > 0 for n in self.maps):
            raise InputError(f"method.{self.name}.maps={self.maps}: give whole numbers from 1 on")

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The number of maps and the learning rate."""
        return {"maps": tuple(self.maps), "rate": tuple(self.rates)}

    def _solver(self, task: Task) -> Callable[[Hyperparameters], FittedMethod]:
        rows, labels = training_rows(task), task.class_vectors[labels_of(task)]

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            n, rate = int(hyperparameters["maps"]), float(hyperparameters["rate"])
            maps = _descend(rows, n, rate, task.seed)
            n_classes = len(task.class_vectors)

            def embed(features: np.ndarray) -> np.ndarray:
                blocks = np.array_split(features, max(1, -(-len(features) // IMAGES)))
                return np.concatenate(
                    [
                        score_rows(_scores(rows.centred(block), maps, labels), n_classes)
                        for block in blocks
                    ]
                )

            return FittedMethod(score_vectors(task), embed)

        return solve


def _scores(features: np.ndarray, maps: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Score images (N, d) and labels (L, a) by maps (K, d, a): (N, L), in [-1, 1]."""
    embedded = np.einsum("nd,kda->kna", features, maps, optimize=True)  # (K, N, a)
    longest = np.linalg.norm(embedded, axis=2).max(axis=0)  # (N,)
    best = np.max(embedded @ labels.T, axis=0)
    scores: np.ndarray = best / np.maximum(longest, 1e-30)[:, None]
    return scores


def _descend(rows: TrainingRows, n: int, rate: float, seed: int) -> np.ndarray:
    """Train n maps (n, d, a) from small random ones."""
    rng = np.random.default_rng(seed)
    (count, d), (n_classes, a) = rows.features.shape, rows.vectors.shape
    maps: np.ndarray = rng.normal(size=(n, d, a)).astype(np.float32) / np.float32(d)
    if n_classes == 1:
        return maps
    for batch in batches(count, rng):
        x, right = rows.features[batch], rows.targets[batch]
        wrong = (right + rng.integers(1, n_classes, len(batch))) % n_classes
        maps += np.float32(rate / len(batch)) * step(
            maps, x, rows.vectors[right], rows.vectors[wrong]
        )
    return maps


def step(maps: np.ndarray, x: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Sum the steps of LATEM over the images of a batch.

    Args:
        maps: (K, d, a) the maps.
        x: (B, d) images.
        right: (B, a) vectors of their classes.
        wrong: (B, a) vectors of other classes.

    Returns:
        (K, d, a) what the maps gain at a learning rate of 1.
    """
    (k, d, a), rows = maps.shape, np.arange(len(x))
    embedded = (x @ maps.transpose(1, 0, 2).reshape(d, k * a)).reshape(len(x), k, a)
    for_right, for_wrong = ((embedded * s[:, None]).sum(axis=2) for s in (right, wrong))  # (B, K)
    violated = (1 + for_wrong.max(axis=1) - for_right.max(axis=1) > 0)[:, None]
    gains = np.zeros_like(embedded)
    gains[rows, for_right.argmax(axis=1)] += right * violated
    gains[rows, for_wrong.argmax(axis=1)] -= wrong * violated
    summed: np.ndarray = (x.T @ gains.reshape(len(x), k * a)).reshape(d, k, a).transpose(1, 0, 2)
    return summed
