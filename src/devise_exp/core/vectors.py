"""Unit rows, and the centre of the trained space, about which a search compares images.

A trained projection leaves in every image what all seen classes share, in some images more than in
others, and a word near that centre would find those images first: hubs (Dinu et al. 2015). This
matters if images are ranked for a word (experiments/word_search), not if words are ranked for one
image.
"""

from __future__ import annotations

import numpy as np


def normalize_rows(rows: np.ndarray, dtype: type[np.floating] = np.float32) -> np.ndarray:
    """Scale rows to unit length; a row of zeros stays as it is.

    Args:
        rows: (N, D) numbers.
        dtype: The type to compute in and to return.

    Returns:
        (N, D) unit rows.

    Example:
        >>> normalize_rows(np.array([[3, 4], [0, 0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    rows = np.asarray(rows, dtype=dtype)
    scaled: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled


def centre_of(class_vectors: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Compute the centre of the trained space: the mean vector of the seen classes.

    Args:
        class_vectors: (C, D) unit rows.
        seen: (S,) ids of the seen classes.

    Returns:
        (D,) float64.
    """
    centre: np.ndarray = class_vectors[seen].mean(axis=0, dtype=np.float64)
    return centre


def centre_rows(vectors: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Compute the directions in which unit rows lie from the centre.

    Args:
        vectors: (N, D) unit rows.
        centre: (D,) as of `centre_of`.

    Returns:
        (N, D) float32 unit rows. A row that is the centre itself, as with a single seen class,
        stays as it is.
    """
    away = vectors - centre
    length = np.linalg.norm(away, axis=1, keepdims=True)
    away = np.where(length > 1e-6, away / np.maximum(length, 1e-6), vectors)
    return np.asarray(away, dtype=np.float32)


def uncentre_rows(directions: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Invert `centre_rows`.

    Args:
        directions: (N, D) unit rows, as of `centre_rows`.
        centre: (D,) within the unit sphere, as a mean of unit vectors is.

    Returns:
        (N, D) float32 unit rows.
    """
    along = directions @ centre  # (N,)
    steps = np.sqrt(np.maximum(along**2 + 1 - centre @ centre, 0)) - along
    return np.asarray(centre + steps[:, None] * directions, dtype=np.float32)
