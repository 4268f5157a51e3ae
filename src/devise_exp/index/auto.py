"""Exact search until the queries are worth a graph."""

from __future__ import annotations

import numpy as np

from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.unit_rows import checked_queries

WORTH_A_GRAPH = 1_000_000  # vectors, and queries: experiments/speed


class AutoIndex(ExactIndex):
    """Exact search, and nmslib's HNSW by its defaults once the queries have paid for it.

    A graph takes minutes per hundred thousand vectors to build. It saves less than that for fewer
    than WORTH_A_GRAPH vectors or queries (extrapolated from experiments/speed/graph.py). A saved
    index is without the graph. In a config:

        index:
          _target_: devise_exp.index.AutoIndex
          _partial_: true

    Args:
        vectors: (N, D) of any length.

    Raises:
        InputError: A row is all zero or not finite.
    """

    name = "auto"

    def __init__(self, vectors: np.ndarray) -> None:
        super().__init__(vectors)
        self.graph: NmslibIndex | None = None
        self._asked = 0

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search the nearest neighbours of queries, as `Index.search` says."""
        queries = checked_queries(self.vectors, queries, k)
        self._asked += len(queries)
        if self.graph is None and min(len(self), self._asked) >= WORTH_A_GRAPH:
            self.graph = NmslibIndex(self.vectors)
        return super().search(queries, k) if self.graph is None else self.graph.search(queries, k)
