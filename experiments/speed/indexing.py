"""Does the memory of an index of a folder grow with the folder?

python experiments/speed/indexing.py [IMAGES ...]

Draws folders of small JPEGs (5,000 and 20,000 by default) and brings a gallery up to date with
each, as `devise-exp index` does, in a process of its own. In place of the network, whose memory is
the same for any folder, mean colours are mixed to 50 numbers. Memory is the peak of what that
process holds of its own (anonymous pages), and how much of it was there before the first image.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from devise_exp.index.exact import ExactIndex
from devise_exp.search.gallery_sync import sync

MIXED = np.random.default_rng(0).standard_normal((3, 50))


def draw(folder: Path, n: int) -> None:
    rng = np.random.default_rng(n)
    for i in range(n):
        path = folder / f"{i // 1000:03}" / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((80, 60)).save(path)


def embed(images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
    colours = np.stack([np.asarray(image).mean(axis=(0, 1)) for image in images])
    return {"devise": colours @ MIXED}


def own_memory(process: int | str) -> int:
    """KiB of anonymous pages; 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def index(gallery: Path, folder: Path) -> tuple[float, int, int]:
    """Seconds, and KiB of own memory: the peak, and at the start."""
    start, peak = time.perf_counter(), 0
    command = [sys.executable, __file__, "--step", str(gallery), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, own_memory(process.pid))
        time.sleep(0.01)
    if process.returncode:
        sys.exit(f"error: the index of {folder} failed")
    assert process.stdout is not None
    return time.perf_counter() - start, peak, int(process.stdout.read())


def main(sizes: list[int]) -> None:
    table = Table("images", "seconds", "images/s", "peak, MiB", "at the start, MiB")
    for n in sizes:
        with tempfile.TemporaryDirectory() as name:
            draw(folder := Path(name) / "images", n)
            seconds, peak, before = index(Path(name) / "gallery", folder)
        cells = (f"{seconds:.0f}", f"{n / seconds:.0f}", f"{peak / 2**10:.1f}")
        table.add_row(f"{n:,}", *cells, f"{before / 2**10:.1f}")
    Console(width=80).print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        print(own_memory("self"))
        sync(Path(sys.argv[2]), Path(sys.argv[3]), embed, ExactIndex)
    else:
        main([int(n) for n in sys.argv[1:]] or [5_000, 20_000])
