"""Exact nearest neighbours by cosine: the oracle of all other indexes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devise_exp.index.exact_search import search_unit_rows
from devise_exp.index.files import VECTORS, writing
from devise_exp.index.unit_rows import candidate_rows


class ExactIndex:
    """The true nearest neighbours: a float32 matrix product, then all near the k-th in float64.

    In a config:

        index:
          _target_: devise_exp.index.ExactIndex
          _partial_: true

    Args:
        vectors: (N, D) of any length.

    Raises:
        InputError: A row is all zero or not finite.

    Example:
        >>> index = ExactIndex(np.array([[1.0, 0.0], [0.0, 2.0]]))
        >>> index.search(np.array([[0.0, 5.0]]), k=1)[0].tolist()
        [[1]]
    """

    name = "exact"

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = candidate_rows(vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search the nearest neighbours of queries, as `Index.search` says."""
        return search_unit_rows(self.vectors, queries, k)

    def save(self, folder: Path) -> None:
        """Write the index."""
        with writing(folder, self.name, {}) as partial:
            np.save(partial / VECTORS, self.vectors)
