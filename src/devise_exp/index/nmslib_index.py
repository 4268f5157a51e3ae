"""Approximate nearest neighbours by nmslib's graphs."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.console import spinner
from devise_exp.core.errors import InputError
from devise_exp.index.exact_search import (
    best,
    checked_queries,
    dots,
    rounding,
    search_unit_rows,
)
from devise_exp.index.files import GRAPH, VECTORS, saving
from devise_exp.index.protocol import candidate_rows

METHODS = ("hnsw", "brute_force")
WIDEST_DEFAULT_SEARCH = 4000
# Of more vectors a search as wide would cost more than it finds: experiments/annoy_benchmark.
MANY, DEFAULT_SEARCH_OF_MANY = 20_000, 400
SPARE_NEIGHBOURS = 16
BUILD_WORTH_A_SPINNER = 5000


class NmslibIndex:
    """nmslib's "hnsw" (Malkov and Yashunin 2018) or "brute_force", space cosinesimil.

    `vectors` (N, D) of any length; InputError for a row that is all zero or not finite. `m`,
    `ef_construction` and `ef_search` are HNSW's and leave brute force alone; `ef_search=None` means
    N, at most 4,000, at which sets of some thousands have recall 1, and 400 where N is over 20,000.
    A query that nmslib leaves open (fewer than k neighbours, a malformed answer, or a tie at the
    last place that float32 cannot settle) is searched exactly; `exact_answers` counts them. `graph`
    is a saved graph of the same vectors, restored instead of built.
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
        self._ef_search = _default_search(len(self)) if ef_search is None else ef_search
        self._restored = graph is not None
        self._engine = _engine(self.vectors, method, self._settings, graph)

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`. InputError for a bad query row, no queries, or k outside 1 to N."""
        queries = checked_queries(self.vectors, queries, k)
        ids = np.empty((len(queries), k), dtype=np.int64)
        similarities = np.empty((len(queries), k), dtype=np.float32)
        settled, found_ids, found_similarities = self._nmslib_search(queries, k)
        ids[settled], similarities[settled] = found_ids, found_similarities
        if not settled.all():
            rest = ~settled
            ids[rest], similarities[rest] = search_unit_rows(self.vectors, queries[rest], k)
            self.exact_answers += int(rest.sum())
        return ids, similarities

    def save(self, folder: Path) -> None:
        """See `Index.save`; HNSW's graph is saved too, so `load` need not build it."""
        with saving(folder, self.name, self._settings) as made:
            np.save(made / VECTORS, self.vectors)
            if self.name == "hnsw":
                # nmslib writes a broken file for a graph that it read: build that one once more.
                engine = self._engine
                if self._restored:
                    engine = _engine(self.vectors, self.name, self._settings, None)
                engine.saveIndex(str(made / GRAPH))

    def _nmslib_search(
        self, queries: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which queries (Q,) nmslib settled, and the ids and similarities (settled, k) of those."""
        n, dim = self.vectors.shape
        asked = min(n, k + SPARE_NEIGHBOURS)
        if self.name == "hnsw":
            self._engine.setQueryTimeParams({"efSearch": max(self._ef_search, asked)})
        answers = self._engine.knnQueryBatch(queries, k=asked, num_threads=0)
        sound = np.array([_sound(found, distances, n, k) for found, distances in answers])
        if not sound.any():
            return sound, np.empty((0, k), dtype=np.int64), np.empty((0, k), dtype=np.float32)
        kept = [found for (found, _), good in zip(answers, sound, strict=True) if good]
        counts = np.array([len(found) for found in kept])
        rows = np.repeat(np.arange(len(kept)), counts)
        ids = np.concatenate(kept).astype(np.int64)
        exact = dots(self.vectors, queries[sound], ids, rows)
        best_ids, similarities = best(rows, ids, exact, len(kept), k)
        # To nmslib's float32, a candidate left out is no nearer than the last one returned.
        last = np.minimum.reduceat(exact, np.cumsum(counts) - counts)
        sure = (counts == n) | (similarities[:, -1] - last > 2 * rounding(dim))
        settled = sound.copy()
        settled[sound] = sure
        return settled, best_ids[sure], similarities[sure].astype(np.float32)


def _default_search(n: int) -> int:
    return min(n, WIDEST_DEFAULT_SEARCH) if n <= MANY else DEFAULT_SEARCH_OF_MANY


def _sound(found: np.ndarray, distances: np.ndarray, n: int, k: int) -> bool:
    """Whether one query's answer from nmslib has at least k distinct ids in range and no NaN."""
    return bool(
        k <= len(found) == len(distances)
        and found.min() >= 0
        and found.max() < n
        and len(np.unique(found)) == len(found)
        and np.isfinite(distances).all()
    )


def _engine(vectors: np.ndarray, method: str, settings: dict[str, Any], graph: Path | None) -> Any:
    """nmslib's index of `vectors`, built or restored from `graph`."""
    nmslib = _nmslib()
    hnsw = {"M": settings["m"], "efConstruction": settings["ef_construction"]}
    build = {**hnsw, "post": 0, "indexThreadQty": 1} if method == "hnsw" else {}

    def make() -> Any:
        engine = nmslib.init(method=method, space="cosinesimil")
        engine.addDataPointBatch(vectors)
        if graph is None:
            engine.createIndex(build, print_progress=False)
        else:
            engine.loadIndex(str(graph))
        return engine

    waiting: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if method == "hnsw" and graph is None and len(vectors) >= BUILD_WORTH_A_SPINNER:
        waiting = spinner(f"HNSW graph of {len(vectors):,} vectors")
    # nmslib draws from a generator of its thread, seeded as the thread starts: only in a fresh
    # thread (and with one indexing thread) do two builds give the same graph.
    with waiting, ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(make).result()


def _nmslib() -> Any:
    """The nmslib module, without what its import prints and without its progress in our logs."""
    logging.getLogger("nmslib").setLevel(logging.WARNING)
    with contextlib.nullcontext() if "nmslib" in sys.modules else _no_stderr():
        try:
            import nmslib
        except ImportError as error:
            raise InputError(
                f"nmslib cannot be imported ({error}): install it, or set index=exact"
            ) from error
    return nmslib


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Drop what native code writes to stderr: nmslib's import prints three lines there."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
