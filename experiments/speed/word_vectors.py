"""How fast does a GloVe text file become word vectors, against gensim?

python experiments/speed/word_vectors.py [WORDS] [DIM]

WORDS (100,000) words of DIM (300) numbers each are written as GloVe writes them. gensim's
load_word2vec_format reads the file at every start; here it is converted once, and every later
process opens the table. Each way is a process of its own, so that its memory can be told, and its
seconds leave out the imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

TIMES = 2
LOOKUPS = "[vectors.vector(f'word{7 * i}') for i in range(100)]"
WAYS = {
    "gensim, every start": (
        "from gensim.models import KeyedVectors",
        "vectors = KeyedVectors.load_word2vec_format(path, no_header=True); "
        "[vectors[f'word{7 * i}'] for i in range(100)]",
    ),
    "converted, the first time": (
        "from devise_exp.text import load_word_vectors",
        f"vectors = load_word_vectors(path); {LOOKUPS}",
    ),
    "converted, every other start": (
        "from devise_exp.text import load_word_vectors",
        f"vectors = load_word_vectors(path); {LOOKUPS}",
    ),
}
PROCESS = """
import json, resource, sys, time
path = sys.argv[1]
{imports}
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def glove_file(path: Path, n: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for start in range(0, n, 10_000):
            for i, row in enumerate(rng.standard_normal((min(10_000, n - start), dim))):
                numbers = " ".join(f"{number:.5f}" for number in row)
                file.write(f"word{start + i} {numbers}\n")


def once(name: str, path: Path, cache: Path) -> tuple[float, float]:
    """Seconds, and the peak of memory in MiB."""
    imports, work = WAYS[name]
    code = PROCESS.format(imports=imports, work=work)
    told = {**os.environ, "DEVISE_CACHE": str(cache)}
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, env=told, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def main(n: int = 100_000, dim: int = 300) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "glove.txt"
        glove_file(path, n, dim)
        size = path.stat().st_size / 2**20
        for i in range(TIMES):
            for name, runs in found.items():
                runs.append(once(name, path, Path(place) / f"cache{i}"))
    plain = min(seconds for seconds, _ in found["gensim, every start"])
    table = Table("", "seconds", "times as fast as gensim", "peak of the process, MiB")
    for name, runs in found.items():
        seconds, memory = min(each[0] for each in runs), max(each[1] for each in runs)
        table.add_row(name, f"{seconds:.4f}", f"{plain / seconds:.1f}", f"{memory:,.0f}")
    console = Console(width=100)
    console.print(table)
    console.print(
        f"{n:,} words x {dim}, {size:,.0f} MiB of text; file to the first 100 words, "
        f"the quickest of {TIMES} by turns"
    )


if __name__ == "__main__":
    main(*[int(each) for each in sys.argv[1:]])
