"""How fast is exact search for many queries at once, against numpy and torch?

python experiments/speed/search.py [VECTORS ...]

1,000 queries of 300 dimensions, the ten nearest of VECTORS (100,000 and 1,000,000) random unit
vectors. numpy sorts all scores of a block of queries, torch takes topk of its matrix product, both
in blocks of 100 queries. Also one query alone, as a search from the command line is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from devise_exp.index.exact_search import search_unit_rows

QUERIES, DIM, K, BLOCK, TIMES = 1000, 300, 10, 100, 3


def unit_rows(n: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, DIM), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def by_numpy(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    blocks = [queries[i : i + BLOCK] for i in range(0, len(queries), BLOCK)]
    return np.concatenate([np.argsort(-(own @ vectors.T), axis=1)[:, :K] for own in blocks])


def by_torch(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    columns = torch.from_numpy(vectors).T
    blocks = torch.from_numpy(queries).split(BLOCK)
    return torch.cat([torch.topk(own @ columns, K).indices for own in blocks]).numpy()


def ours(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return search_unit_rows(vectors, queries, K)[0]


def best_of(work: Callable[[], np.ndarray], times: int) -> tuple[float, np.ndarray]:
    """Seconds of the quickest of several runs, and what it found."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), found


def main(sizes: list[int]) -> None:
    table = Table("vectors", "queries", "", "seconds", "exact search is", "same ids")
    for n in sizes:
        vectors, queries = unit_rows(n, 0), unit_rows(QUERIES, 1)
        for own in (queries, queries[:1]):
            times = TIMES if len(own) > 1 else 20
            seconds, found = best_of(lambda o=own, v=vectors: ours(v, o), times)
            table.add_row(f"{n:,}", str(len(own)), "exact search", f"{seconds:.4f}", "", "")
            for name, work in (("torch topk", by_torch), ("numpy argsort", by_numpy)):
                once = 1 if work is by_numpy and len(own) > 1 else times
                theirs, ids = best_of(lambda w=work, o=own, v=vectors: w(v, o), once)
                same = f"{(ids == found).mean():.4f}"
                ratio = f"{theirs / seconds:.1f} times as fast"
                table.add_row(f"{n:,}", str(len(own)), name, f"{theirs:.4f}", ratio, same)
    console = Console(width=100)
    console.print(table)
    console.print(f"{torch.get_num_threads()} threads; the quickest of {TIMES} runs")


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [100_000, 1_000_000])
