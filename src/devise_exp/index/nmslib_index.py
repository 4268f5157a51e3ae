"""Approximate nearest neighbours by nmslib's graphs, held to the bits of exact search."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.index.files import GRAPH, VECTORS, writing
from devise_exp.index.nmslib_engine import build_engine
from devise_exp.index.rescoring import SPARE_NEIGHBOURS, rescored_answers
from devise_exp.index.unit_rows import candidate_rows, checked_queries

METHODS = ("hnsw", "brute_force")
MAX_DEFAULT_EF_SEARCH = 4000
# Of more vectors a search as wide would cost more than it finds: experiments/annoy_benchmark.
MANY_VECTORS, EF_SEARCH_OF_MANY = 20_000, 400


class NmslibIndex:
    """nmslib's "hnsw" or "brute_force" in the space cosinesimil.

    A query that nmslib leaves open (fewer than k neighbours, a malformed answer, or a tie at the
    last rank that float32 cannot decide) is searched exactly; `exact_answers` counts such queries.
    In a config:

        index:
          _target_: devise_exp.index.NmslibIndex
          _partial_: true
          method: hnsw
          m: 16

    Args:
        vectors: (N, D) of any length.
        method: One of METHODS; the other settings are HNSW's.
        m: Neighbours kept for each vector in the graph.
        ef_construction: Width of the search while the graph is built.
        ef_search: Width of the search for a query; None: N, at most 4,000, at which sets of some
            thousands have recall 1, and 400 if N is over 20,000.
        graph: File of a saved graph of the same vectors, restored instead of built.

    Raises:
        InputError: A row is all zero or not finite, a setting is out of range, or nmslib cannot be
            imported.

    Source:
        Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
        Hierarchical Navigable Small World graphs", TPAMI 2020.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        method: str = "hnsw",
        m: int = 16,
        ef_construction: int = 200,
        ef_search: int | None = None,
        graph: Path | None = None,
    ) -> None:
        if method not in METHODS:
            raise InputError(f"index method {method!r} is unknown: use one of {', '.join(METHODS)}")
        for key, value, least in (
            ("m", m, 2),
            ("ef_construction", ef_construction, 1),
            ("ef_search", 1 if ef_search is None else ef_search, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"index.{key} is {value!r}: set a whole number from {least} up")
        self.name = method
        self.vectors = candidate_rows(vectors)
        self.exact_answers = 0
        self._settings = {"m": m, "ef_construction": ef_construction, "ef_search": ef_search}
        self._ef_search = default_ef_search(len(self)) if ef_search is None else ef_search
        self._restored = graph is not None
        self._engine = build_engine(self.vectors, method, self._settings, graph)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search the nearest neighbours of queries, as `Index.search` says."""
        queries = checked_queries(self.vectors, queries, k)
        asked = min(len(self), k + SPARE_NEIGHBOURS)
        if self.name == "hnsw":
            self._engine.setQueryTimeParams({"efSearch": max(self._ef_search, asked)})
        answers = self._engine.knnQueryBatch(queries, k=asked, num_threads=0)
        sound = [
            ids if len(ids) == len(distances) and np.isfinite(distances).all() else ids[:0]
            for ids, distances in answers
        ]
        ids, similarities, exact_answers = rescored_answers(self.vectors, queries, sound, k)
        self.exact_answers += exact_answers
        return ids, similarities

    def save(self, folder: Path) -> None:
        """Write the index, HNSW's graph included."""
        with writing(folder, self.name, self._settings) as partial:
            np.save(partial / VECTORS, self.vectors)
            if self.name == "hnsw":
                # nmslib writes a broken file for a graph that it read: build that one once more.
                engine = self._engine
                if self._restored:
                    engine = build_engine(self.vectors, self.name, self._settings, None)
                engine.saveIndex(str(partial / GRAPH))


def default_ef_search(n: int) -> int:
    """Choose the width of HNSW's search.

    Args:
        n: Number of vectors.

    Returns:
        The width.
    """
    return min(n, MAX_DEFAULT_EF_SEARCH) if n <= MANY_VECTORS else EF_SEARCH_OF_MANY
