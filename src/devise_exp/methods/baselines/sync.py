"""SynC: classifiers of all classes as mixtures of those of phantom classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.optimize

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import TrainingRows, training_rows
from devise_exp.methods.baselines.label_space import inner_product_vectors, labels_of
from devise_exp.methods.method import FittedMethod, Hyperparameters, SolverMethod
from devise_exp.methods.task import Task

ITERATIONS = 100
RANK = 1e-6  # singular values below so much of the largest are rounding


@dataclass(frozen=True, kw_only=True)
class SynC(SolverMethod):
    """Synthesized classifiers (Changpinyo et al. 2016), one versus the others.

    The classifier of a class with the vector a is w(a) = sum over phantom classes r of s_r(a) v_r,
    with s(a) = softmax over r of -||a - b_r||^2 / width (equations 2 and 3). The v_r minimise, over
    the seen classes c and the N images n, y being 1 for the image's class and -1 for the others,
    sum over c of (mean over n of max(0, 1 - y_nc x_n w_c)^2 + strength / 2 ||w_c||^2) (equation 4).

    As in their experiments each seen class has a phantom class at its vector. Then the seen
    classifiers can be any, so those of the minimum are ordinary squared-hinge classifiers whatever
    the width, and V = s^-1 W. If s has no inverse (equal vectors), V is that of least squares.

    Features are at unit length about their training mean, scaled to a mean squared length of one.
    Widths are relative to the median squared distance of a seen class to its nearest one.

    Attributes:
        name: As of Method.
        strengths: Strengths of the regulariser to choose among on class folds.
        widths: Widths to choose among on class folds.
    """

    name: str = "sync"
    strengths: Sequence[float] = (1e-4, 1e-3, 1e-2)
    widths: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0)
    uses_seed = False

    def __post_init__(self) -> None:
        for option in ("strengths", "widths"):
            values = getattr(self, option)
            if isinstance(values, str) or not values or not all(value > 0 for value in values):
                raise InputError(f"method.{self.name}.{option}={values}: give numbers above 0")

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The strength of the regulariser and the width of the similarity of classes."""
        return {"strength": tuple(self.strengths), "width": tuple(self.widths)}

    def _solver(self, task: Task) -> Callable[[Hyperparameters], FittedMethod]:
        rows, labels = training_rows(task), task.class_vectors[labels_of(task)]
        unit = _nearest_distance(rows.vectors)

        @cache
        def seen_weights(strength: float) -> np.ndarray:
            return squared_hinge_weights(rows, strength)

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            weights = seen_weights(float(hyperparameters["strength"]))
            width = float(hyperparameters["width"]) * unit
            phantoms = np.linalg.pinv(shares(rows.vectors, rows.vectors, width), rcond=RANK)
            synthesised = shares(labels, rows.vectors, width) @ (phantoms @ weights)

            def embed(features: np.ndarray) -> np.ndarray:
                images = normalize_rows(rows.centred(features))
                return np.pad(images, ((0, 0), (0, 1)))

            return FittedMethod(inner_product_vectors(task, synthesised), embed)

        return solve


def shares(vectors: np.ndarray, phantoms: np.ndarray, width: float) -> np.ndarray:
    """Compute how much of each phantom class a class has.

    Args:
        vectors: (n, a) class vectors.
        phantoms: (R, a) vectors of the phantom classes.
        width: Divides squared distances.

    Returns:
        (n, R) float64 shares; rows sum to one.
    """
    logits = -_squared_distances(vectors, phantoms) / width
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return result


def squared_hinge_weights(rows: TrainingRows, strength: float) -> np.ndarray:
    """Train one linear classifier per seen class against all others.

    Args:
        rows: The training images.
        strength: Of the regulariser.

    Returns:
        (S, d) weights that minimise the sum over classes of the mean squared hinge loss plus
        strength / 2 times the squared length.
    """
    x, n = rows.features, len(rows.features)
    signs = np.full((n, len(rows.vectors)), -1, dtype=np.float32)
    signs[np.arange(n), rows.targets] = 1
    shape = (len(rows.vectors), x.shape[1])

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        short = np.maximum(1 - signs * (x @ weights.T.astype(np.float32)), 0)  # (N, S)
        slope = -2 / n * ((short * signs).T @ x) + strength * weights
        value = float(np.square(short, dtype=np.float64).sum()) / n
        return value + strength / 2 * float((weights**2).sum()), slope.ravel().astype(np.float64)

    result = scipy.optimize.minimize(
        loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    )
    weights: np.ndarray = result.x.reshape(shape)
    return weights


def _squared_distances(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances (n, m) of rows."""
    a, b = vectors.astype(np.float64), others.astype(np.float64)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    distances: np.ndarray = np.maximum(squares, 0)
    return distances


def _nearest_distance(vectors: np.ndarray) -> float:
    """The median squared distance of a class to its nearest other one; 1 if none has any."""
    distances = _squared_distances(vectors, vectors)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1)
    nearest = nearest[np.isfinite(nearest) & (nearest > 1e-9)]
    return float(np.median(nearest)) if len(nearest) else 1.0
