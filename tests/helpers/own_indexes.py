"""Indexes of a user's own that do not answer as an index has to."""

from __future__ import annotations

import numpy as np


class WithoutVectors:
    name = "without vectors"

    def __init__(self, vectors: np.ndarray) -> None:
        self._rows = vectors

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        similarities = queries @ self._rows.T
        ids = np.argsort(-similarities, axis=1)[:, :k]
        return ids, np.take_along_axis(similarities, ids, axis=1)


class OneRow(WithoutVectors):
    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__(vectors)
        self.vectors = vectors

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, similarities = super().search(queries, k)
        return ids[:1], similarities[:1]


class Repeats(OneRow):
    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((len(queries), k), dtype=int), np.ones((len(queries), k))
