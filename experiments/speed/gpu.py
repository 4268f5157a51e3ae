"""What a GPU machine gives: extraction beside its bounds and the plain loop, and whole runs.

python experiments/speed/gpu.py [FOLDER] [--small]

Draws JPEGs of 500 x 375 pixels, IMAGES of them, and writes its tables, as they come, to gpu.md in
FOLDER (that of $OUT, or this one). On one H200 with 16 cores it is meant to take under six minutes;
what would pass LIMIT_SECONDS is left out, and named. --small: some hundred images and runs of two
steps, on a processor if there is no GPU, to see that all of it works.

Extraction: the plain loop is a DataLoader of eight workers and the network, float32. Seconds and
paces of SHORT images count the start-up of either. Decoding: all cores, the pixels dropped.
Network: the engine alone, pixels from memory. Whole runs: each command twice, of which the second
counts; a program that is missing on the machine is named.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from extraction import BACKBONES, bank_pace, decoding, in_fresh_process, plain_loop, some
from PIL import Image

from devise_exp.data.dataset import ImageDataset
from devise_exp.data.folders import image_folder
from devise_exp.features.engines import torch_engine
from devise_exp.features.extraction import in_order

IMAGES, SHORT, CLASSES, WORKERS, BATCH = 8000, 2000, 20, 8, 128
LIMIT_SECONDS = 340
NAMES = ("efficientnet_lite0", "resnet50", "vgg16")
ROOT = Path(__file__).parents[2]
RUNS = {"default run": [], "all methods, five seeds": ["method=all", "seeds=5"]}
SMOKE = ["trainer=smoke", "method=none", "class_folds=0", "report=none"]
STARTED = time.monotonic()


def draw(folder: Path, first: int, step: int, n: int) -> None:
    """Soft shapes with some noise, which compress about as photographs do."""
    for i in range(first, n, step):
        rng = np.random.default_rng(i)
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
        soft = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = np.clip(soft + rng.normal(0, 8, soft.shape), 0, 255).astype(np.uint8)
        path = folder / f"class {i % CLASSES:02}" / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(path, quality=85)


def drawn(folder: Path, n: int) -> ImageDataset:
    """A dataset of n drawn images."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(draw, *zip(*[(folder, i, cores, n) for i in range(cores)], strict=True)))
    os.environ["DEVISE_CACHE"] = str(folder.parent / "cache")
    return image_folder(folder)


def network_pace(name: str, device: str, n_batches: int) -> float:
    """Images per second of the engine alone, copies to the device and back included."""
    backbone = BACKBONES[name]()
    side = backbone.preprocess.crop
    pixels = torch.randint(0, 256, (BATCH, side, side, 3), dtype=torch.uint8)
    engine = torch_engine(backbone, device, "float32")
    engine.run(pixels)
    start = time.perf_counter()
    for _ in in_order(engine, iter([pixels] * n_batches)):
        pass
    return n_batches * BATCH / (time.perf_counter() - start)


def extraction_rows(dataset: ImageDataset, device: str, is_small: bool) -> Iterator[str]:
    """Lines of the table of extraction."""
    yield "| backbone | | images/s | times the bank's |"
    yield "| --- | --- | ---: | ---: |"
    n = len(dataset.rows)
    short = some(dataset, min(SHORT, n))
    for name in NAMES[:1] if is_small else NAMES:
        if time.monotonic() - STARTED > LIMIT_SECONDS * 0.6:
            yield f"| {name} | left out: no time | | |"
            continue
        pace = bank_pace(name, dataset, "auto")
        bounds = {
            "decoding on all cores": decoding(name, dataset),
            "network alone": in_fresh_process(network_pace, name, device, 1 if is_small else 60),
        }
        plain = in_fresh_process(
            plain_loop, name, short, 2 if is_small else WORKERS, device, 32 if is_small else BATCH
        )
        short_bank = bank_pace(name, short, "auto")
        yield f"| {name} | bank, steady | {pace.steady:,.0f} | 1.00 |"
        for title, bound in bounds.items():
            yield f"| | {title} | {bound:,.0f} | {bound / pace.steady:.2f} |"
        yield (f"| | plain loop, steady | {plain.steady:,.0f} | {plain.steady / pace.steady:.2f} |")
        ours, theirs = (len(short.rows) / way.seconds for way in (short_bank, plain))
        yield f"| | bank of {len(short.rows):,}, start-up included | {ours:,.0f} | |"
        yield (
            f"| | plain loop over {len(short.rows):,}, start-up included | {theirs:,.0f} "
            f"| {theirs / ours:.2f} of that bank's |"
        )


def run_rows(is_small: bool) -> Iterator[str]:
    """Lines of the table of whole runs."""
    yield "| run | seconds, second start |"
    yield "| --- | ---: |"
    for title, options in RUNS.items():
        yield f"| {title} | {run_seconds(SMOKE if is_small else options)} |"
        if is_small:
            return


def run_seconds(options: list[str]) -> str:
    """Seconds of a run whose caches are warm, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"WANDB_MODE": "offline", "DEVISE_CACHE": f"{folder}/cache"}
        for turn in range(2):
            left = LIMIT_SECONDS - (time.monotonic() - STARTED)
            command = [sys.executable, str(ROOT / "train.py"), *options]
            start = time.monotonic()
            try:
                done = subprocess.run(
                    [*command, f"hydra.run.dir={folder}/{turn}"],
                    cwd=folder, env=environment, capture_output=True, text=True,
                    timeout=max(1, left), check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"left out: turn {turn + 1} was not over after {left:.0f} s"
            if done.returncode:
                return f"failed: {done.stderr.strip().splitlines()[-1][:120]}"
        return f"{time.monotonic() - start:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", default=os.environ.get("OUT", "."))
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    on_gpu = torch.cuda.is_available()
    device = "cuda:0" if on_gpu else "cpu"
    title = torch.cuda.get_device_name(0) if on_gpu else "no GPU"
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(options.folder) / "gpu.md").open("w", encoding="utf-8") as file,
    ):
        n = 120 if options.small else IMAGES

        def keep(line: str) -> None:
            print(line, flush=True)
            file.write(f"{line}\n")
            file.flush()

        keep(f"{title}, {os.cpu_count()} cores, torch {torch.__version__}, {n:,} images\n")
        for line in extraction_rows(drawn(Path(folder) / "images", n), device, options.small):
            keep(line)
        keep("")
        for line in run_rows(options.small):
            keep(line)
        keep(f"\n{time.monotonic() - STARTED:.0f} s in all")


if __name__ == "__main__":
    main()
