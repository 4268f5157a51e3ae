"""faiss's own index objects: imported when one is asked for, built repeatably."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.array_files import load_arrays
from devise_exp.core.console import spinner
from devise_exp.core.errors import InputError

LINKS = "links.npz"
VECTORS_WORTH_A_SPINNER = 20_000


def import_faiss() -> Any:
    """Import faiss.

    Returns:
        The module.

    Raises:
        InputError: It is not installed, or cannot be loaded.
    """
    try:
        import faiss
    except ImportError as error:
        raise InputError(
            f"index=faiss needs the extra faiss ({error}): pip install 'devise-exp[faiss]', or "
            "choose index=hnsw, brute_force, exact or auto"
        ) from error
    return faiss


def build_graph(vectors: np.ndarray, m: int, ef_construction: int) -> Any:
    """Build faiss's HNSW graph, the same each time: one thread inserts the vectors.

    Args:
        vectors: (N, D) float32 unit rows.
        m: Neighbours kept for each vector.
        ef_construction: Width of the search while the graph is built.

    Returns:
        The IndexHNSWFlat, which holds a copy of the vectors.
    """
    faiss = import_faiss()
    engine = faiss.IndexHNSWFlat(vectors.shape[1], m, faiss.METRIC_INNER_PRODUCT)
    engine.hnsw.efConstruction = ef_construction
    waiting: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if len(vectors) >= VECTORS_WORTH_A_SPINNER:
        waiting = spinner(f"HNSW graph of {len(vectors):,} vectors")
    with waiting, _one_thread(faiss):
        engine.add(np.ascontiguousarray(vectors))
    return engine


def graph_arrays(engine: Any) -> dict[str, np.ndarray]:
    """Take a graph apart.

    Args:
        engine: The IndexHNSWFlat.

    Returns:
        Levels of the vectors (N,), all links one after another, -1 for none, and where a search
        starts (1,).
    """
    faiss, graph = import_faiss(), engine.hnsw
    return {
        "levels": faiss.vector_to_array(graph.levels),
        "links": faiss.vector_to_array(graph.neighbors),
        "start": np.array([graph.entry_point], dtype=np.int64),
    }


def load_graph(folder: Path, vectors: np.ndarray, m: int) -> Any:
    """Put a saved graph together, every link checked: faiss would follow a wrong one anywhere.

    Args:
        folder: The folder of the index.
        vectors: (N, D) float32 unit rows.
        m: Neighbours kept for each vector.

    Returns:
        The IndexHNSWFlat.

    Raises:
        ValueError: The file is no graph of these vectors.
    """
    faiss = import_faiss()
    arrays = load_arrays(folder / LINKS)
    levels, links, start = (arrays.get(key) for key in ("levels", "links", "start"))
    if levels is None or links is None or start is None:
        raise ValueError(f"{LINKS} lacks an array")
    engine = faiss.IndexHNSWFlat(vectors.shape[1], m, faiss.METRIC_INNER_PRODUCT)
    widths = faiss.vector_to_array(engine.hnsw.cum_nneighbor_per_level)
    offsets = _checked_offsets(levels, links, start, widths, len(vectors))
    engine.storage.add(np.ascontiguousarray(vectors))
    engine.ntotal = len(vectors)
    faiss.copy_array_to_vector(levels, engine.hnsw.levels)
    faiss.copy_array_to_vector(links, engine.hnsw.neighbors)
    faiss.copy_array_to_vector(offsets, engine.hnsw.offsets)
    engine.hnsw.entry_point = int(start[0])
    engine.hnsw.max_level = int(levels[start[0]]) - 1
    return engine


def _checked_offsets(
    levels: np.ndarray, links: np.ndarray, start: np.ndarray, widths: np.ndarray, n: int
) -> np.ndarray:
    """Where the links (L,) of each vector begin (N + 1,); `widths` are those up to each level."""
    if [a.dtype.name for a in (levels, links, start)] != ["int32", "int32", "int64"]:
        raise ValueError("links of other types")
    if levels.shape != (n,) or levels.min() < 1 or levels.max() >= len(widths):
        raise ValueError(f"levels of shape {levels.shape} for {n} vectors")
    offsets = np.concatenate([[0], np.cumsum(widths[levels])]).astype(np.uint64)
    if links.shape != (int(offsets[-1]),) or links.min() < -1 or links.max() >= n:
        raise ValueError("links lead out of the graph")
    if start.shape != (1,) or not 0 <= start[0] < n:
        raise ValueError("no vector to start from")
    for level in range(1, int(levels.max())):
        rows = np.flatnonzero(levels > level)
        begin, end = int(widths[level]), int(widths[level + 1])
        of_level = links[offsets[rows].astype(np.int64)[:, None] + np.arange(begin, end)]
        if (levels[of_level[of_level >= 0]] <= level).any():
            raise ValueError("links lead to a vector that is not on their level")
    return offsets


@contextlib.contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Let faiss use one thread; torch and nmslib have threads of their own."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
