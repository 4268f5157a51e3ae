"""How fast is exact search, against what else a user would take?

python experiments/speed/search.py [VECTORS ...]

The ten nearest of VECTORS (100,000 and 1,000,000) random unit vectors of 300 dimensions, float32,
for 1,000 queries at once and for one alone, as a search from the command line is. Beside it stand
faiss (IndexFlatIP) and usearch (search, exact=True; if it is installed), whose vectors are added
before the clock starts, torch (topk of its matrix product, in blocks of 100 queries) and numpy
(argsort of all scores). All have the same threads and take turns; the quickest turn counts (usearch
and numpy have one of many queries).
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable

import faiss
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from devise_exp.index.exact_search import search_unit_rows

QUERIES, DIM, K, BLOCK, THREADS = 1000, 300, 10, 100, 2
PAUSE = 0.05  # seconds, in which the threads of the library that ran before fall asleep
OURS, USEARCH, ARGSORT = "exact search", "usearch, exact=True", "numpy, argsort"
ONCE = (USEARCH, ARGSORT)  # so slow that they have one turn of many queries

Search = Callable[[np.ndarray], np.ndarray]


def unit_rows(n: int, seed: int) -> np.ndarray:
    """Draw unit vectors (n, DIM) float32."""
    rows = np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def by_numpy(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Sort all scores of a block of queries."""
    blocks = [queries[i : i + BLOCK] for i in range(0, len(queries), BLOCK)]
    return np.concatenate([np.argsort(-(block @ vectors.T), axis=1)[:, :K] for block in blocks])


def by_torch(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Take torch's topk of the scores of a block of queries."""
    columns = torch.from_numpy(vectors).T
    blocks = torch.from_numpy(queries).split(BLOCK)
    return torch.cat([torch.topk(block @ columns, K).indices for block in blocks]).numpy()


def ways(vectors: np.ndarray) -> dict[str, Search]:
    """All ways to search `vectors` by their names, ready for queries; exact search is the first."""
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)
    searches: dict[str, Search] = {
        OURS: lambda queries: search_unit_rows(vectors, queries, K)[0],
        "faiss, IndexFlatIP": lambda queries: index.search(queries, K)[1],
    }
    if importlib.util.find_spec("usearch"):
        from usearch.index import search

        searches[USEARCH] = lambda queries: search(
            vectors, queries, K, "ip", exact=True, threads=THREADS
        ).keys.reshape(len(queries), K)
    searches["torch, matmul and topk"] = lambda queries: by_torch(vectors, queries)
    searches[ARGSORT] = lambda queries: by_numpy(vectors, queries)
    return searches


def in_turns(
    searches: dict[str, Search], queries: np.ndarray, turns: int
) -> dict[str, tuple[float, np.ndarray]]:
    """Seconds of the quickest of several turns, and the ids, by name."""
    best: dict[str, tuple[float, np.ndarray]] = {}
    for turn in range(turns):
        for name, search in searches.items():
            if name in ONCE and turn and len(queries) > 1:
                continue
            time.sleep(PAUSE)
            start = time.perf_counter()
            ids = search(queries)
            seconds = time.perf_counter() - start
            best[name] = (min(seconds, best[name][0]) if name in best else seconds, ids)
    return best


def main(sizes: list[int]) -> None:
    """Print the table."""
    torch.set_num_threads(THREADS)
    faiss.omp_set_num_threads(THREADS)
    print(f"{THREADS} threads\n")
    show("vectors", "queries", "", "seconds", "exact search is", "same ids")
    show("---:", "---:", "---", "---:", "---", "---:")
    for n in sizes:
        searches, queries = ways(unit_rows(n, 0)), unit_rows(QUERIES, 1)
        for some in (queries, queries[:1]):
            turns = 30 if len(some) == 1 else max(5, 1_500_000 // n)
            with threadpool_limits(THREADS):
                best = in_turns(searches, some, turns)
            seconds, ours = best[OURS]
            for name, (theirs, ids) in best.items():
                ratio = "" if name == OURS else f"{theirs / seconds:.2f} times as fast"
                same = "" if name == OURS else f"{(ids == ours).mean():.4f}"
                show(f"{n:,}", f"{len(some):,}", name, f"{theirs:.4f}", ratio, same)


def show(*cells: str) -> None:
    """Print a row of the table, in Markdown."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [100_000, 1_000_000])
