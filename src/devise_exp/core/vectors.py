"""Unit rows; and the centre of the trained space, about which pictures are compared in a search.

A trained map leaves what all seen classes share in every picture, more in some than in others, and
a word near that centre would find those first: hubs (Dinu et al. 2015). That matters where pictures
are ranked for a word (experiments/word_search), not where words are ranked for one picture.
"""

from __future__ import annotations

import numpy as np


def normalize_rows(rows: np.ndarray, dtype: type[np.floating] = np.float32) -> np.ndarray:
    """Rows (N, D) at unit length, of this dtype; a row of zeros stays as it is."""
    rows = np.asarray(rows, dtype=dtype)
    scaled: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled


def centre_of(class_vectors: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(D,) the mean of the seen classes' vectors; class_vectors (C, D), seen: class ids."""
    centre: np.ndarray = class_vectors[seen].mean(axis=0, dtype=np.float64)
    return centre


def centre_rows(vectors: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(N, D) float32 unit rows: the directions in which unit rows `vectors` (N, D) lie from the
    centre. A row that is the centre itself, as with a single seen class, keeps its own.
    """
    away = vectors - centre
    length = np.linalg.norm(away, axis=1, keepdims=True)
    away = np.where(length > 1e-6, away / np.maximum(length, 1e-6), vectors)
    return np.asarray(away, dtype=np.float32)


def uncentre_rows(directions: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(N, D) float32: the unit rows that `centre_rows` took to `directions`. The centre lies within
    the unit sphere, as a mean of unit vectors does.
    """
    along = directions @ centre  # (N,)
    steps = np.sqrt(np.maximum(along**2 + 1 - centre @ centre, 0)) - along
    return np.asarray(centre + steps[:, None] * directions, dtype=np.float32)
