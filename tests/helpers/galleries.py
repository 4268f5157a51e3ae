"""A small gallery that tests save and read back."""

from __future__ import annotations

import numpy as np

from devise_exp.runs.gallery import GalleryRow

ROWS = [
    GalleryRow(name="okapi/a.png", label="okapi", part="val"),
    GalleryRow(name="okapi/b.png", label="okapi", part="unseen"),
    GalleryRow(name="emu/ä [b] 東京.png", label="emu", part="test"),
    GalleryRow(name="emu/d.png", label="emu", part="unseen"),
]
VECTORS = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
FEATURES = np.random.default_rng(2).normal(size=(4, 9)).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors at unit length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
