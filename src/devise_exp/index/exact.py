"""Exact nearest neighbours by cosine: the oracle of all other indexes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devise_exp.index.exact_search import (
    search_unit_rows,
)
from devise_exp.index.files import VECTORS, saving
from devise_exp.index.protocol import candidate_rows


class ExactIndex:
    """The true nearest neighbours: a float32 matrix product, then all near the k-th in float64.

    `vectors` (N, D) of any length. InputError for a row that is all zero or not finite.
    """

    name = "exact"

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = candidate_rows(vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`. InputError for a bad query row, no queries, or k outside 1 to N."""
        return search_unit_rows(self.vectors, queries, k)

    def save(self, folder: Path) -> None:
        """See `Index.save`."""
        with saving(folder, self.name, {}) as made:
            np.save(made / VECTORS, self.vectors)
