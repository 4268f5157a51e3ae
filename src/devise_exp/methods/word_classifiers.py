"""Classifiers of any class, predicted from its word vector, and their share of a similarity.

A run compares images and words in the trained space of word vectors. Beside it, a classifier that
is predicted for every word (Elhoseiny et al. 2013) compares them in the space of features. Both
similarities are cosines, so their weighted mean is the cosine of longer vectors: those of the
trained space and those of the features, side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from devise_exp.core.vectors import normalize_rows

BLOCK = 4096  # words or images that are computed at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class WordClassifiers:
    """Predicts the weights of a linear classifier from a word vector, by kernel regression.

    K classes are known. The kernel of word vectors u and v is exp((cos(u, v) - 1) / tau), with the
    cosine about the centre.

    Attributes:
        centre: (D,) the point about which word vectors are compared.
        vectors: (K, D) unit word vectors of the known classes, about the centre.
        coefficients: (K, d) what the kernel with each known class adds to the predicted weights.
        tau: Width of the kernel.
        image_centre: (d,) the point about which features are compared.
    """

    centre: np.ndarray
    vectors: np.ndarray
    coefficients: np.ndarray
    tau: float
    image_centre: np.ndarray

    def of_words(self, vectors: np.ndarray) -> np.ndarray:
        """Predict the classifiers of words.

        Args:
            vectors: (n, D) word vectors.

        Returns:
            (n, d) float32 unit weights.
        """
        return np.concatenate([self._of_words(part) for part in _blocks(vectors)])

    def of_images(self, features: np.ndarray) -> np.ndarray:
        """Take features about their centre, as the classifiers do.

        Args:
            features: (N, d) features.

        Returns:
            (N, d) float32 unit rows.
        """
        return normalize_rows(features - self.image_centre)

    def _of_words(self, vectors: np.ndarray) -> np.ndarray:
        kernel = word_kernel(normalize_rows(vectors - self.centre), self.vectors, self.tau)
        return normalize_rows(kernel @ self.coefficients)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassifierShare:
    """Predicted classifiers with their share of a similarity.

    The rows of the trained space and those of the classifiers stand side by side, scaled so that
    the cosine of two rows is (1 - share) times the one cosine plus share times the other.

    Attributes:
        classifiers: Of any word.
        share: Above 0 and at most 1.
    """

    classifiers: WordClassifiers
    share: float

    def images(self, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Put images in the longer space.

        Args:
            rows: (N, D) unit rows of the trained space.
            features: (N, d) features of the same images.

        Returns:
            (N, D + d) float32 unit rows.
        """
        return side_by_side(rows, self.classifiers.of_images(features), self.share)

    def words(self, vectors: np.ndarray) -> np.ndarray:
        """Put words in the longer space.

        Args:
            vectors: (n, D) unit word vectors; a row of zeros is a word without a vector.

        Returns:
            (n, D + d) float32 unit rows, zeros where the vector is.
        """
        predicted = self.classifiers.of_words(vectors)
        predicted[~vectors.any(axis=1)] = 0
        return side_by_side(vectors, predicted, self.share)


def side_by_side(rows: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    """Join two spaces, so that a cosine is the weighted mean of the cosines of both.

    Args:
        rows: (n, D) unit rows of the first space.
        others: (n, d) unit rows of the second.
        share: Weight of the second, in [0, 1]; that of the first is 1 - share.

    Returns:
        (n, D + d) float32 unit rows.
    """
    scaled = (rows * np.sqrt(1 - share), others * np.sqrt(share))
    joined: np.ndarray = np.concatenate(scaled, axis=1, dtype=np.float32)
    return joined


def word_kernel(rows: np.ndarray, columns: np.ndarray, tau: float) -> np.ndarray:
    """Compute the kernel exp((cosine - 1) / tau).

    Args:
        rows: (n, D) unit vectors.
        columns: (m, D) unit vectors.
        tau: Width of the kernel.

    Returns:
        (n, m) float64.
    """
    kernel: np.ndarray = np.exp((rows @ columns.T - 1).astype(np.float64) / tau)
    return kernel


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Rows in blocks of at most BLOCK."""
    return np.array_split(rows, max(1, -(-len(rows) // BLOCK)))
