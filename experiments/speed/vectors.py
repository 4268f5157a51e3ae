"""Which index for a million vectors, and for ten: building, memory, disk, pace and recall.

python experiments/speed/vectors.py [VECTORS ...] [--only NAME ...]

VECTORS (100,000, a million and ten million) unit vectors of 64 dimensions, near the 50 of the
default word vectors, which keeps ten million in 2.4 GiB of disk: noise of length 0.6 about one of
21,841 centres, as many as ImageNet-21K has labels. 200 further vectors of the same kind are the
queries, one at a time. Each index is built in a process of its own, saved, and opened again in
another, which searches: processor is what its threads took together to build it; memory is the peak
of what each process holds of its own (anonymous pages), not pages of mapped files. Disk holds the
vectors too. Graphs (hnsw) are built of a million at most, nmslib's of 100,000, for building takes
one thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from devise_exp.core.array_files import load_array
from devise_exp.index import ExactIndex, FaissIndex, NmslibIndex, load
from devise_exp.index.exact_search import search_unit_rows

DIM, CENTRES, NOISE, QUERIES, K, BLOCK = 64, 21_841, 0.6, 200, 10, 1 << 18
MAKERS = {
    "exact": (ExactIndex, {}),
    "faiss flat": (FaissIndex, {"kind": "flat"}),
    "faiss ivf_pq": (FaissIndex, {"kind": "ivf_pq"}),
    "faiss hnsw": (FaissIndex, {"kind": "hnsw"}),
    "nmslib hnsw": (NmslibIndex, {}),
}
# What a query costs and finds, of one index.
SEARCHES = {"faiss ivf_pq": [{"probes": 32, "refine": 200}, {"probes": 64, "refine": 200},
                             {"probes": 64, "refine": 1000}]}  # fmt: skip
MOST = {"faiss hnsw": 1_000_000, "nmslib hnsw": 100_000}


def draw(n: int, seed: int) -> np.ndarray:
    centres = np.random.default_rng(0).standard_normal((CENTRES, DIM), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(CENTRES, size=n)]
    rows += NOISE / np.sqrt(DIM) * rng.standard_normal((n, DIM), dtype=np.float32)
    return ExactIndex(rows).vectors


def write_vectors(path: Path, n: int) -> None:
    file = np.lib.format.open_memmap(path, "w+", np.float32, (n, DIM))
    for start in range(0, n, BLOCK):
        file[start : start + BLOCK] = draw(min(BLOCK, n - start), 1 + start)
    file.flush()


def build(name: str, vectors: Path, folder: Path) -> dict[str, float]:
    make, options = MAKERS[name]
    rows, start, spent = load_array(vectors, mapped=True), time.perf_counter(), time.process_time()
    index = make(rows, **options)
    seconds, spent = time.perf_counter() - start, time.process_time() - spent
    index.save(folder)
    return {"building": seconds, "processor": spent}


def search(folder: Path, settings: dict[str, int]) -> dict[str, object]:
    start = time.perf_counter()
    index = load(folder)
    opening, queries = time.perf_counter() - start, draw(QUERIES, 0)
    if settings:
        index._settings |= settings  # they change no file of the index
    index.search(queries[:1], K)
    seconds, ids = [], []
    for query in queries:
        start = time.perf_counter()
        ids.append(index.search(query[None], K)[0][0].tolist())
        seconds.append(time.perf_counter() - start)
    ms = 1000 * np.array(seconds)
    return {"opening": opening, "ms": ms.mean(), "slowest": ms.max(), "ids": ids}


def in_process(*arguments: str) -> tuple[dict, float]:
    """The answer of this script in a new process, and the peak of its own memory in GiB."""
    command = [sys.executable, __file__, "--step", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        with suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(int(line.split()[1]) for line in status.splitlines()
                                if line.startswith("RssAnon"))])  # fmt: skip
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return json.loads(process.stdout.read()), peak / 2**20


def measure(table: Table, name: str, n: int, workplace: Path, true: np.ndarray) -> None:
    vectors, folder = workplace / f"{n}.npy", workplace / "index"
    built, memory = in_process("build", name, str(vectors), str(folder))
    disk = sum(path.stat().st_size for path in folder.iterdir()) / 2**30
    for settings in SEARCHES.get(name, [{}]):
        answer, memory_later = in_process("search", str(folder), json.dumps(settings))
        pairs = zip(answer["ids"], true, strict=True)
        recall = np.mean([len(set(a) & set(b)) / K for a, b in pairs])
        shown = " ".join([name, *(f"{key} {value}" for key, value in settings.items())])
        cells = (f"{built['building']:,.0f}", f"{built['processor']:,.0f}", f"{memory:.2f}",
                 f"{disk:.2f}", f"{answer['opening']:.0f}", f"{memory_later:.2f}",
                 f"{answer['ms']:.1f}", f"{answer['slowest']:.1f}", f"{recall:.3f}")  # fmt: skip
        table.add_row(f"{n:,}", shown, *cells)
        print(n, shown, *cells, file=sys.stderr, flush=True)


def main(sizes: list[int], names: list[str]) -> None:
    columns = ("building, s", "processor, s", "GiB", "disk, GiB", "opening, s", "GiB then",
               "ms a query", "slowest", "recall@10")  # fmt: skip
    table = Table("vectors", "index", *columns)
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{n}.npy"
            write_vectors(path, n)
            true, _ = search_unit_rows(load_array(path, mapped=True), draw(QUERIES, 0), K)
            for name in (name for name in names if n <= MOST.get(name, n)):
                measure(table, name, n, Path(folder), true)
    Console(width=140).print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        step, *values = sys.argv[2:]
        if step == "build":
            result = build(values[0], *map(Path, values[1:]))
        else:
            result = search(Path(values[0]), json.loads(values[1]))
        print(json.dumps(result))
    else:
        parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
        parser.add_argument("sizes", nargs="*", type=int, default=[100_000, 1_000_000, 10_000_000])
        parser.add_argument("--only", nargs="+", choices=MAKERS, default=list(MAKERS))
        options = parser.parse_args()
        main(options.sizes, options.only)
