"""From how many vectors and queries on does a graph pay? What index=auto rests on.

python experiments/speed/graph.py [VECTORS ...]

nmslib's HNSW by its defaults over VECTORS (20,000 and 100,000) random unit vectors of 300
dimensions, for 1,000 queries: what building it costs, and from how many queries on that is won
back, at the recall it has.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from search import QUERIES, TIMES, K, best_of, ours, unit_rows

from devise_exp.index.nmslib_index import NmslibIndex


def main(sizes: list[int]) -> None:
    columns = ("building, s", "a query, ms", "exactly, ms", "recall@10", "pays from")
    table, queries = Table("vectors", *columns), unit_rows(QUERIES, 1)
    for n in sizes:
        vectors = unit_rows(n, 0)
        start = time.perf_counter()
        graph = NmslibIndex(vectors)
        building = time.perf_counter() - start
        exactly, true = best_of(lambda v=vectors: ours(v, queries), TIMES)
        seconds, found = best_of(lambda g=graph: g.search(queries, K)[0], TIMES)
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(true, found, strict=True)])
        won = (exactly - seconds) / QUERIES
        pays = f"{building / won:,.0f} queries" if won > 0 else "never"
        each = (f"{1000 * s / QUERIES:.2f}" for s in (seconds, exactly))
        table.add_row(f"{n:,}", f"{building:.0f}", *each, f"{recall:.3f}", pays)
    console = Console(width=100)
    console.print(table)
    console.print(f"{torch.get_num_threads()} threads; the quickest of {TIMES} runs")


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [20_000, 100_000])
