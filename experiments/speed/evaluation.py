"""Does the evaluation of ten million images among 21,841 labels fit in 8 GiB?

python experiments/speed/evaluation.py [IMAGES ...]

IMAGES (60,000 and 180,000) rows of 1,280 float16 features in a sharded bank, of 21,841 classes,
4,368 of them unseen, are embedded in 50 dimensions by an untrained map and evaluated as a run is:
seen and unseen images among their own labels, among all, and by calibrated stacking, with
intervals, by exact search. Memory is the peak of what the process holds of its own (anonymous
pages), not pages of the bank. The line through the two sizes is carried on to ten million images.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from devise_exp.core.row_shards import map_rows
from devise_exp.evaluation.evaluator import evaluate
from devise_exp.evaluation.protocols import MODEL, EmbeddedImages, MethodOutput, standard_protocols
from devise_exp.features.bank_files import ROWS_OF_A_SHARD, read_entry, write_entry
from devise_exp.index import ExactIndex
from devise_exp.methods.embedding import embed

CLASSES, UNSEEN, FEATURES, DIM, MANY = 21_841, 4_368, 1280, 50, 10_000_000


class Memory(threading.Thread):
    """The peak of the process's anonymous pages, looked at twenty times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.start()

    def look(self) -> float:
        status = Path("/proc/self/status").read_text().splitlines()
        [kib] = [int(line.split()[1]) for line in status if line.startswith("RssAnon")]
        self.peak = max(self.peak, kib)
        return self.peak / 2**20

    def run(self) -> None:
        while True:
            self.look()
            time.sleep(0.05)


def write_bank(entry: Path, n: int) -> None:
    rng, path = np.random.default_rng(0), entry.with_name("rows.npy")
    rows = np.lib.format.open_memmap(path, "w+", np.float16, (n, FEATURES))
    for start in range(0, n, 1 << 14):
        part = rows[start : start + (1 << 14)]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    write_entry(entry, rows, "drawn")
    path.unlink()


def main(sizes: list[int]) -> None:
    table = Table("images", "shards", "embedding, s", "GiB", "evaluating, s", "GiB then")
    peaks, seconds, memory = [], [], Memory()
    rng = np.random.default_rng(1)
    vectors = ExactIndex(rng.standard_normal((CLASSES, DIM))).vectors
    unseen = np.arange(UNSEEN)
    protocols = standard_protocols(np.arange(UNSEEN, CLASSES), unseen, calibrated=True)
    torch.manual_seed(0)
    projection = torch.nn.Linear(FEATURES, DIM)
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_bank(Path(folder) / "bank", n)
            bank = read_entry(Path(folder) / "bank")
            assert bank is not None
            class_ids, memory.peak, start = np.arange(n) % CLASSES, 0, time.perf_counter()
            parts = {}
            for name, side in (("seen", class_ids >= UNSEEN), ("unseen", class_ids < UNSEEN)):
                rows = np.flatnonzero(side)
                embedded = map_rows(lambda values: embed(projection, values), bank, rows)
                parts[name] = EmbeddedImages(embedded, class_ids[rows])
            cells = [time.perf_counter() - start, memory.look()]
        model = MethodOutput(name=MODEL, class_vectors=vectors, parts=parts, gamma=0.1)
        memory.peak, start = 0, time.perf_counter()
        evaluate([model], protocols, ExactIndex)
        cells += [time.perf_counter() - start, memory.look()]
        peaks.append(max(cells[1], cells[3]))
        seconds.append(cells[2])
        shown = (f"{cell:.1f}" if i % 2 == 0 else f"{cell:.2f}" for i, cell in enumerate(cells))
        table.add_row(f"{n:,}", str(-(-n // ROWS_OF_A_SHARD)), *shown)
        print(n, cells, file=sys.stderr, flush=True)
    Console(width=100).print(table)
    memory_slope, pace = (
        (values[-1] - values[0]) / (sizes[-1] - sizes[0]) for values in (peaks, seconds)
    )
    print(
        f"{memory_slope * 2**30:.0f} bytes and {1000 * pace:.2f} ms for each further image; "
        f"{MANY:,} images: {peaks[-1] + memory_slope * (MANY - sizes[-1]):.2f} GiB, "
        f"{(seconds[-1] + pace * (MANY - sizes[-1])) / 3600:.1f} hours"
    )


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [60_000, 180_000])
