"""Linear discriminant analysis with a shrunk covariance, for any shrinkage by one decomposition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from devise_exp.methods.baselines.base import class_means

MIN_EIGENVALUE = 1e-6  # of the largest; below it float32 has only rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class DiscriminantAnalysis:
    """The directions that tell classes apart, with the covariance within classes decomposed.

    Attributes:
        centre: (d,) mean of all images.
        means: (S, d) mean of each class, about the centre.
        spectrum: (r,) eigenvalues of the covariance within classes, without those that vanish.
        axes: (d, r) their eigenvectors, as columns.
        mean_eigenvalue: Over all d eigenvalues; 0 if each class has one image, or equal ones.
    """

    centre: np.ndarray
    means: np.ndarray
    spectrum: np.ndarray
    axes: np.ndarray
    mean_eigenvalue: float

    def weights(self, shrinkage: float) -> np.ndarray:
        """Weigh the features for each class: ((1 - a) Sw + a m I)^-1 (mean of the class - centre).

        Args:
            shrinkage: a, above 0 and at most 1; m is the mean eigenvalue of Sw.

        Returns:
            (S, d) float32 weights.
        """
        if self.mean_eigenvalue == 0:  # no spread, so nothing to weigh the features by
            return self.means
        flat = shrinkage * self.mean_eigenvalue  # the eigenvalue of directions that Sw lacks
        inner = self.means @ self.axes  # (S, r)
        change = 1 / ((1 - shrinkage) * self.spectrum + flat) - 1 / flat
        weights = self.means / flat + (inner * change) @ self.axes.T
        return np.asarray(weights, dtype=np.float32)


def discriminant_analysis(
    features: np.ndarray, targets: np.ndarray, n_classes: int
) -> DiscriminantAnalysis:
    """Decompose the covariance of images about the mean of their class.

    Args:
        features: (N, d) features.
        targets: (N,) class of each, from 0 on.
        n_classes: Number of classes; each has an image.

    Returns:
        The analysis.
    """
    features = features.astype(np.float32)
    means = class_means(features, targets, n_classes)
    centre = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    within = features - means[targets]
    spectrum, axes = _eigen(within)
    return DiscriminantAnalysis(
        centre=centre,
        means=means - centre,
        spectrum=spectrum,
        axes=axes,
        mean_eigenvalue=float(np.square(within, dtype=np.float64).mean()),
    )


def _eigen(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (r,) that do not vanish and eigenvectors (d, r) of X'X / n, for rows X (n, d)."""
    n, d = rows.shape
    # X'X and XX' have the same eigenvalues that do not vanish: the smaller one is decomposed.
    gram = rows @ rows.T if n < d else rows.T @ rows
    spectrum, axes = scipy.linalg.eigh(gram / n, driver="evd")
    kept = spectrum > MIN_EIGENVALUE * max(spectrum[-1], 1e-30)
    spectrum, axes = spectrum[kept], axes[:, kept]
    return spectrum, rows.T @ (axes / np.sqrt(n * spectrum)) if n < d else axes
