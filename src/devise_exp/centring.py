"""The centre of the trained space, about which pictures are compared in a search.

A trained map leaves what all seen classes share in every picture, more in some than in others, and
a word near that centre would find those first: hubs (Dinu et al. 2015). Ranking labels for one
picture is little touched by it; ranking pictures for a word is (experiments/word_search).
"""

from __future__ import annotations

import numpy as np


def centre_of(class_vectors: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(D,) the mean of the seen classes' vectors; class_vectors (C, D), seen: class ids."""
    centre: np.ndarray = class_vectors[seen].mean(axis=0, dtype=np.float64)
    return centre


def centred(vectors: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(N, D) float32 unit rows: the directions in which unit rows `vectors` (N, D) lie from the
    centre. A row that is the centre itself, as with a single seen class, keeps its own.
    """
    away = vectors - centre
    length = np.linalg.norm(away, axis=1, keepdims=True)
    away = np.where(length > 1e-6, away / np.maximum(length, 1e-6), vectors)
    return np.asarray(away, dtype=np.float32)
