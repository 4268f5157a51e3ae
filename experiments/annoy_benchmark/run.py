"""Annoy with 1,000 trees against this project's indexes: python experiments/annoy_benchmark/run.py

Prints a Markdown table for each set of vectors. README.md says what is compared, and how to install
Annoy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from devise_exp.core.command import command
from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.retrieval import index_recall
from devise_exp.index.exact import ExactIndex
from devise_exp.index.files import GRAPH
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.text.word_vectors import glove_6b_50d

TREES = 1000  # as the article has it
EF_SEARCH = (50, 100, 200, 400)
Search = Callable[[np.ndarray], np.ndarray]  # queries (Q, D) -> ids (Q, k)


class Method(NamedTuple):
    """One row of the table; build is in seconds, None where the row above was built for it too."""

    name: str
    build: float | None
    search: Search


def clustered(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """(n, dim) float32: 1,000 normal centres, and around them normal points of the same variance.

    Two points of a cluster have a cosine near 0.5, as pictures of one class in an embedding have.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((1000, dim), dtype=np.float32)
    spread = rng.standard_normal((n, dim), dtype=np.float32)
    return centres[rng.integers(len(centres), size=n)] + spread


def annoy(vectors: np.ndarray, k: int, trees: int) -> Iterator[Method]:
    """Annoy as the article uses it, then looking at ten times as many candidates for a query."""
    try:
        from annoy import AnnoyIndex
    except ImportError as error:
        raise InputError("this benchmark alone needs Annoy: pip install annoy") from error
    start = time.perf_counter()
    index = AnnoyIndex(vectors.shape[1], "angular")
    index.set_seed(1)
    for i, row in enumerate(vectors):
        index.add_item(i, row)
    index.build(trees)
    built: float | None = time.perf_counter() - start
    for search_k in (trees * k, 10 * trees * k):

        def search(queries: np.ndarray, search_k: int = search_k) -> np.ndarray:
            return np.array([index.get_nns_by_vector(query, k, search_k) for query in queries])

        yield Method(f"Annoy, {trees:,} trees, search_k {search_k:,}", built, search)
        built = None


def ours(vectors: np.ndarray, k: int) -> Iterator[Method]:
    """The exact index, then HNSW with wider and wider search over one graph."""
    start = time.perf_counter()
    exact = ExactIndex(vectors)
    yield Method("ExactIndex", time.perf_counter() - start, lambda q: exact.search(q, k)[0])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"
        start = time.perf_counter()
        graph = NmslibIndex(vectors)
        built: float | None = time.perf_counter() - start
        graph.save(place)
        for ef in EF_SEARCH:
            index = NmslibIndex(vectors, ef_search=ef, graph=place / GRAPH)

            def search(queries: np.ndarray, index: NmslibIndex = index) -> np.ndarray:
                return index.search(queries, k)[0]

            yield Method(f"NmslibIndex hnsw, ef_search {ef}", built, search)
            built = None


def measure(method: Method, queries: np.ndarray, truth: np.ndarray, repeats: int) -> str:
    """A row of the table: build, median time of the whole batch, recall against exact search."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = method.search(queries)
        times.append(time.perf_counter() - start)
    built = "" if method.build is None else f"{method.build:.1f}"
    recall = index_recall(found, truth)
    return f"| {method.name} | {built} | {statistics.median(times):.3f} | {recall:.4f} |"


def table(title: str, vectors: np.ndarray, n_queries: int, k: int, repeats: int) -> None:
    """Print the comparison over `vectors` (N + Q, D), whose last `n_queries` are the queries."""
    candidates, queries = vectors[:-n_queries], vectors[-n_queries:]
    truth, _ = ExactIndex(candidates).search(queries, k)
    print(f"\n{title}: {len(candidates):,} x {vectors.shape[1]}, {n_queries:,} queries\n")
    print(f"| index | build, s | query batch, s | recall@{k} |\n| --- | --- | --- | --- |")
    for methods in (ours(candidates, k), annoy(candidates, k, TREES)):
        for method in methods:
            print(measure(method, queries, truth, repeats), flush=True)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Annoy against this project's indexes.")
    parser.add_argument("--n", type=int, default=100_000, help="candidates")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    start = time.perf_counter()
    print(f"cores: {len(os.sched_getaffinity(0))}")
    total = given.n + given.queries
    sizes = (given.queries, given.k, given.repeats)
    table("clustered vectors", clustered(total, 300), *sizes)
    words = np.array(glove_6b_50d(limit=total).vectors)
    table("GloVe 6B, the most frequent words", words, *sizes)
    print(f"\n{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
