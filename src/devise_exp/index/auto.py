"""Exact search until the queries are worth a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devise_exp.index.exact_search import (
    checked_queries,
    search_unit_rows,
)
from devise_exp.index.files import VECTORS, saving
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import candidate_rows

WORTH_A_GRAPH = 1_000_000  # vectors, and queries: experiments/speed


class AutoIndex:
    """Exact search, and nmslib's HNSW by its defaults from the search on that has made it pay.

    A graph is built in minutes per hundred thousand vectors and does not win them back by so much
    a query below WORTH_A_GRAPH vectors and as many queries, carried on from what
    experiments/speed/graph.py measures.
    `vectors` (N, D) of any length. InputError for a row that is all zero or not finite.
    """

    name = "auto"

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = candidate_rows(vectors)
        self.graph: NmslibIndex | None = None
        self._asked = 0

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`. InputError for a bad query row, no queries, or k outside 1 to N."""
        queries = checked_queries(self.vectors, queries, k)
        self._asked += len(queries)
        if self.graph is None and min(len(self), self._asked) >= WORTH_A_GRAPH:
            self.graph = NmslibIndex(self.vectors)
        if self.graph is None:
            return search_unit_rows(self.vectors, queries, k)
        return self.graph.search(queries, k)

    def save(self, folder: Path) -> None:
        """See `Index.save`; what it has built is not kept."""
        with saving(folder, self.name, {}) as made:
            np.save(made / VECTORS, self.vectors)
