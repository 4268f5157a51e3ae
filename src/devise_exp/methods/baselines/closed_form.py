"""Zero-shot baselines with a closed form: ESZSL, the semantic autoencoder, ridge regression.

Features are at unit length, so that all images weigh alike. ESZSL and the autoencoder, which have
no intercept, take them about their training mean: a feature has one large component that all images
share. A regulariser is relative to the mean eigenvalue of the matrix that it is added to, so 1
weighs the same on any number of rows, any backbone and any word vectors. Each problem is decomposed
into eigenvectors once; after that, every regulariser costs two small products.

Shapes: X (n, d) features, S (s, a) vectors of the seen classes, both by rows where the papers have
columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import class_means
from devise_exp.methods.method import FittedMethod, Hyperparameters, SolverMethod
from devise_exp.methods.task import Task

# Powers of ten as in Romera-Paredes and Torr 2015; the strongest first, so that it wins a tie.
REGULARISERS = tuple(10.0**b for b in range(3, -4, -1))
MIN_EIGENVALUE = 1e-4  # relative; below it float32 has only rounding
Solver = Callable[[Hyperparameters], FittedMethod]


@dataclass(frozen=True, kw_only=True)
class ESZSL(SolverMethod):
    """Embarrassingly simple zero-shot learning (Romera-Paredes and Torr 2015).

    V (d, a) in the bilinear score x V s minimises
    ||X V S' - Y||^2 + gamma ||V S'||^2 + lambda ||X V||^2 + gamma lambda ||V||^2,
    so V = (X'X + gamma I)^-1 X'Y S (S'S + lambda I)^-1, with Y (n, s) of 1 for an image's class and
    -1 for the others.

    Attributes:
        name: As of Method.
    """

    name: str = "eszsl"
    uses_seed = False

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The regularisers gamma and lambda."""
        return {"gamma": REGULARISERS, "lambda": REGULARISERS}

    def _solver(self, task: Task) -> Solver:
        moments, vectors = _moments(task), task.class_vectors[task.seen].astype(np.float32)
        spread, directions = _eigen(vectors.T @ vectors)
        # X lies about its mean, so Y'X, 2 for each image of a class less 1 for all images, is twice
        # the class's sum.
        core = moments.axes.T @ (2 * moments.sums.T @ vectors @ directions)  # (d, a)

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            gamma, strength = hyperparameters["gamma"], hyperparameters["lambda"]
            inverses = np.outer(moments.spectrum + gamma, spread + strength).astype(np.float32)
            weights = moments.axes @ (core / inverses) @ directions.T
            return _linear(task, moments.centre, weights)

        return solve


@dataclass(frozen=True, kw_only=True)
class SAE(SolverMethod):
    """Semantic autoencoder (Kodirov et al. 2017).

    W (a, d) minimises ||X - T W||^2 + lambda ||X W' - T||^2, with T (n, a) each image's class
    vector. It solves the Sylvester equation A W + W B = C, A = T'T, B = lambda X'X,
    C = (1 + lambda) T'X. Images are encoded, x W', and compared with class vectors. lambda is
    relative to the ratio of the mean eigenvalues of A and X'X.

    Attributes:
        name: As of Method.
    """

    name: str = "sae"
    uses_seed = False

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The weight lambda of the encoder's loss."""
        return {"lambda": REGULARISERS}

    def _solver(self, task: Task) -> Solver:
        moments, vectors = _moments(task), task.class_vectors[task.seen].astype(np.float32)
        spread, directions = _eigen(vectors.T @ (moments.counts[:, None] * vectors))
        core = directions.T @ (vectors.T @ moments.sums) @ moments.axes  # (a, d)

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            # In the eigenvectors of A and B the equation is one division for each entry of W. If
            # both eigenvalues vanish W is free, and zero gives the least of all solutions.
            strength = hyperparameters["lambda"]
            sums = np.add.outer(spread, strength * moments.spectrum).astype(np.float32)
            solved = np.where(sums > MIN_EIGENVALUE, core / np.maximum(sums, MIN_EIGENVALUE), 0)
            return _linear(task, moments.centre, moments.axes @ solved.T @ directions.T)

        return solve


@dataclass(frozen=True, kw_only=True)
class RidgeToFeatures(SolverMethod):
    """Ridge regression from class vectors to the class means of unit features.

    M = 1 b + S W with W (a, d), ||W||^2 weighted by alpha, and b free. This is the direction of
    Shigeto et al. 2015, in which few hubs arise. Images stay as they are: unit features.

    Attributes:
        name: As of Method.
    """

    name: str = "ridge_to_features"
    uses_seed = False

    @property
    def param_grid(self) -> Mapping[str, Sequence[float]]:
        """The regulariser alpha."""
        return {"alpha": REGULARISERS}

    def _solver(self, task: Task) -> Solver:
        features = normalize_rows(task.features[task.train])
        means = class_means(features, task.targets(task.train), len(task.seen))  # (s, d)
        vectors = task.class_vectors.astype(np.float32)
        vectors = vectors - vectors[task.seen].mean(axis=0)
        seen = vectors[task.seen]
        middle = means.mean(axis=0)  # the regression at the mean class vector
        spread, directions = _eigen(seen.T @ seen)
        scale = np.trace(seen.T @ seen) / seen.shape[1]
        core = directions.T @ (seen.T @ (means - middle)) / scale  # (a, d)

        def solve(hyperparameters: Hyperparameters) -> FittedMethod:
            damped = (spread + hyperparameters["alpha"]).astype(np.float32)
            weights = directions @ (core / damped[:, None])
            return FittedMethod(normalize_rows(middle + vectors @ weights), normalize_rows)

        return solve


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moments:
    """What ESZSL and the autoencoder need of X (n, d), the training images' unit features.

    Attributes:
        centre: (d,) mean of the unit features, which X is about.
        sums: (s, d) sums of X over each seen class.
        counts: (s,) training images of each seen class.
        spectrum: (d,) eigenvalues of X'X in units of their mean.
        axes: (d, d) eigenvectors of X'X, as columns.
    """

    centre: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    spectrum: np.ndarray
    axes: np.ndarray


def _moments(task: Task) -> _Moments:
    """Sum up the training images of a task."""
    features, targets = normalize_rows(task.features[task.train]), task.targets(task.train)
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    features -= centre
    counts = np.bincount(targets, minlength=len(task.seen))
    sums = class_means(features, targets, len(task.seen)) * counts[:, None].astype(np.float32)
    spectrum, axes = _eigen(features.T @ features)
    return _Moments(centre=centre, sums=sums, counts=counts, spectrum=spectrum, axes=axes)


def _eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decompose a covariance-like matrix: eigenvalues in units of their mean, eigenvectors.

    Eigenvectors are columns; eigenvalues that rounding has made negative are zero.
    """
    values, vectors = scipy.linalg.eigh(matrix, driver="evd")
    return np.maximum(values, 0) / max(values.mean(), 1e-30), vectors


def _linear(task: Task, centre: np.ndarray, weights: np.ndarray) -> FittedMethod:
    """Embed images by their unit features about `centre` (d,) times `weights` (d, a)."""
    return FittedMethod(
        task.class_vectors, lambda x: normalize_rows((normalize_rows(x) - centre) @ weights)
    )
