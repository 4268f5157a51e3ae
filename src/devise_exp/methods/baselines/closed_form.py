"""Zero-shot baselines with a closed form: ESZSL, the semantic autoencoder, and ridge regression
from class words to features.

Features come at unit length, so that all images weigh alike. ESZSL and the autoencoder, which have
no intercept, take them about their training mean: a feature has one large component that all images
share. A regulariser is given relative to the mean eigenvalue of the matrix that it is added to; so
1 weighs the same on any number of rows, any backbone and any word vectors. Each problem is
decomposed into eigenvectors once, after which every regulariser costs two small products.

Shapes: X (n, d) features, S (s, a) vectors of the seen classes, both by rows where the papers have
columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.linalg

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.baselines.base import class_means
from devise_exp.methods.selection import choose_hyperparameters
from devise_exp.methods.task import ClassFold, FittedMethod, Task

# Powers of ten as in Romera-Paredes and Torr 2015; the strongest first, so that it wins a tie.
REGULARISERS = tuple(10.0**b for b in range(3, -4, -1))
LEAST_EIGENVALUE = 1e-4  # relative; below it float32 has only rounding


def eszsl(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    """ESZSL (Romera-Paredes and Torr 2015): V (d, a) in the bilinear score x V s that minimises
    ||X V S' - Y||^2 + gamma ||V S'||^2 + lambda ||X V||^2 + gamma lambda ||V||^2,
    V = (X'X + gamma I)^-1 X'Y S (S'S + lambda I)^-1, with Y (n, s) of 1 for an image's class and -1
    for the others.

    gamma and lambda are chosen on the class folds, both 1 without one.
    """
    grid = [{"gamma": g, "lambda": s} for g, s in product(REGULARISERS, REGULARISERS)]
    return choose_hyperparameters(_eszsl, grid, task, folds)


def sae(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    """Semantic autoencoder (Kodirov et al. 2017): W (a, d) that minimises
    ||X - T W||^2 + lambda ||X W' - T||^2, with T (n, a) each image's class vector, is the solution
    of the Sylvester equation A W + W B = C, A = T'T, B = lambda X'X, C = (1 + lambda) T'X. Images
    are encoded, x W', and compared with class vectors.

    lambda, relative to the ratio of the mean eigenvalues of A and X'X, is chosen on the class
    folds, 1 without one.
    """
    return choose_hyperparameters(
        _sae, [{"lambda": weight} for weight in REGULARISERS], task, folds
    )


def ridge_to_features(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    """Ridge regression from class vectors to the class means of unit features (the direction of
    Shigeto et al. 2015, in which few hubs arise): M = 1 b + S W, W (a, d) with ||W||^2 weighed by
    alpha, b free. Images stay as they are: unit features.

    alpha is chosen on the class folds, 1 without one.
    """
    grid = [{"alpha": weight} for weight in REGULARISERS]
    return choose_hyperparameters(_ridge_to_features, grid, task, folds)


@dataclass(frozen=True, eq=False)
class _Moments:
    """What ESZSL and the autoencoder need of the training images, X (n, d) being their unit
    features about `centre` (d,).

    sums: (s, d) of X over each seen class; counts: (s,); spectrum (d,), in units of its mean, and
    axes (d, d): eigenvalues and eigenvectors (columns) of X'X.
    """

    centre: np.ndarray
    sums: np.ndarray
    counts: np.ndarray
    spectrum: np.ndarray
    axes: np.ndarray


def _moments(task: Task) -> _Moments:
    features, targets = normalize_rows(task.features[task.train]), task.targets(task.train)
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    features -= centre
    counts = np.bincount(targets, minlength=len(task.seen))
    sums = class_means(features, targets, len(task.seen)) * counts[:, None].astype(np.float32)
    return _Moments(centre, sums, counts, *_eigen(features.T @ features))


def _eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, in units of their mean, and eigenvectors (columns) of a covariance-like
    matrix; those that rounding has made negative are zero.
    """
    values, vectors = scipy.linalg.eigh(matrix, driver="evd")
    return np.maximum(values, 0) / max(values.mean(), 1e-30), vectors


def _mapped(name: str, task: Task, centre: np.ndarray, weights: np.ndarray) -> FittedMethod:
    """Images by unit features about `centre` times weights (d, a); classes by their vectors."""
    return FittedMethod(
        name, task.class_vectors, lambda x: normalize_rows((normalize_rows(x) - centre) @ weights)
    )


def _eszsl(task: Task) -> Callable[[float, float], FittedMethod]:
    moments, vectors = _moments(task), task.class_vectors[task.seen].astype(np.float32)
    spread, directions = _eigen(vectors.T @ vectors)
    # X lies about its mean, so Y'X, 2 for each image of a class less 1 for all images, is twice the
    # class's sum.
    core = moments.axes.T @ (2 * moments.sums.T @ vectors @ directions)  # (d, a)

    def member(gamma: float, weight: float) -> FittedMethod:
        inverses = np.outer(moments.spectrum + gamma, spread + weight).astype(np.float32)
        weights = moments.axes @ (core / inverses) @ directions.T
        return _mapped("eszsl", task, moments.centre, weights)

    return member


def _sae(task: Task) -> Callable[[float], FittedMethod]:
    moments, vectors = _moments(task), task.class_vectors[task.seen].astype(np.float32)
    spread, directions = _eigen(vectors.T @ (moments.counts[:, None] * vectors))
    core = directions.T @ (vectors.T @ moments.sums) @ moments.axes  # (a, d)

    def member(weight: float) -> FittedMethod:
        # In the eigenvectors of A and B the equation is one division for each entry of W. Where
        # both eigenvalues vanish W is free, and zero gives the least of all solutions.
        sums = np.add.outer(spread, weight * moments.spectrum).astype(np.float32)
        solved = np.where(sums > LEAST_EIGENVALUE, core / np.maximum(sums, LEAST_EIGENVALUE), 0)
        weights = moments.axes @ solved.T @ directions.T
        return _mapped("sae", task, moments.centre, weights)

    return member


def _ridge_to_features(task: Task) -> Callable[[float], FittedMethod]:
    features = normalize_rows(task.features[task.train])
    means = class_means(features, task.targets(task.train), len(task.seen))  # (s, d)
    vectors = task.class_vectors.astype(np.float32)
    vectors = vectors - vectors[task.seen].mean(axis=0)
    seen = vectors[task.seen]
    middle = means.mean(axis=0)  # the regression at the mean class vector
    spread, directions = _eigen(seen.T @ seen)
    scale = np.trace(seen.T @ seen) / seen.shape[1]
    core = directions.T @ (seen.T @ (means - middle)) / scale  # (a, d)

    def member(weight: float) -> FittedMethod:
        weights = directions @ (core / (spread + weight).astype(np.float32)[:, None])
        return FittedMethod(
            "ridge_to_features", normalize_rows(middle + vectors @ weights), normalize_rows
        )

    return member
