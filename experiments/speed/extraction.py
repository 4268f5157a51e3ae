"""How fast do image files become a feature bank, against the plain loop and against the bounds?

python experiments/speed/extraction.py ROOT [IMAGES] [BACKBONE ...]

ROOT: a folder with caltech101/101_ObjectCategories. Of its images every n-th is taken, IMAGES
(4,000) in all. The plain loop is a DataLoader over PIL images and the network as it comes, float32,
with the number of workers that was the quickest on a hundred images; its pace is taken over a
quarter of the images, without its start-up.

The pace of the bank is given twice. "Start-up included" counts from the first line to the finished
bank, "steady" the rows that reach the file between a start and an end (`window`) at which as many
images have been decoded ahead. The times of the plain loop are of the first. The bounds: decoding
by a process on every core that drops the pixels, the network on all cores, writing; and decoding
and network sharing these cores, which is all that a processor can do. `stand_in` is a network of no
cost, which shows what the decoding gives away; its bank and the decoding take turns, and the
quickest turn of each counts. Each way is a process that has run nothing else, and all files were
read before.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from devise_exp.data.caltech import caltech101
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.images import ImageFiles
from devise_exp.features import decoders
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.backbones.torchvision import torchvision_backbone
from devise_exp.features.bank import feature_bank
from devise_exp.features.engines import cosines, openvino_engine, torch_engine
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.features.pixels import PixelDataset

BATCH, WORKERS, FEW = 32, (0, 1, 2), 100
TURNS = 5  # of the stand-in network: seconds on a shared machine vary more than what is looked for
MAX_AHEAD = 1783  # images of these sizes that decoders are ahead by default
POLL_SECONDS = 0.01


class Raw(Preprocess):
    """Lite0's sizes, and no normalization, which costs as much as a third of the decoding."""

    def normalize(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels


class Corner(nn.Module):
    """A network of no cost: the first pixel."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels[:, 0, 0, :]


def stand_in() -> Backbone:
    sizes = Raw(resize=256, crop=224, interpolation="bicubic")
    return Backbone(name="stand_in", build=Corner, feature_dim=3, preprocess=sizes, categories=())


BACKBONES: dict[str, Callable[[], Backbone]] = {
    "efficientnet_lite0": lambda: efficientnet_lite(0),
    # Weights change neither the pace nor how alike the engines are.
    "resnet18": lambda: torchvision_backbone("resnet18", weights=None),
    "resnet50": lambda: torchvision_backbone("resnet50", weights=None),
    "vgg16": lambda: torchvision_backbone("vgg16", weights=None),
    "stand_in": stand_in,
}
NAMES = ("stand_in", "efficientnet_lite0", "resnet18", "resnet50")


class PlainImages(torch.utils.data.Dataset):
    """What anyone would write first."""

    def __init__(self, dataset: ImageDataset, backbone: Backbone) -> None:
        self.images, self.preprocess = dataset.images, backbone.preprocess

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.preprocess(self.images[i])


def in_fresh_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns in a process that has run nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


class PlainPace(NamedTuple):
    """A plain loop: seconds in all, images per second from the first batch on, the features."""

    seconds: float
    steady: float
    features: np.ndarray


def plain_loop(
    name: str, dataset: ImageDataset, workers: int, device: str = "cpu", batch: int = BATCH
) -> PlainPace:
    """Run the network as it comes over a DataLoader."""
    begin = time.perf_counter()
    backbone = BACKBONES[name]()
    network = backbone.network.eval().to(device)
    loader = DataLoader(PlainImages(dataset, backbone), batch, num_workers=workers)
    features, start = [], 0.0
    with torch.no_grad():
        for images in loader:
            features.append(network(images.to(device)).cpu())
            start = start or time.perf_counter()
    end = time.perf_counter()
    return PlainPace(
        end - begin, (len(dataset.rows) - batch) / (end - start), torch.cat(features).numpy()
    )


class BankPace(NamedTuple):
    """How a bank came about: seconds in all and to its first rows, steady images per second."""

    seconds: float
    start_up: float
    steady: float
    features: np.ndarray


def make_bank(
    name: str, dataset: ImageDataset, engine: str, cache: str
) -> tuple[float, float, np.ndarray]:
    """Start and end on the clock that processes share, and the features."""
    os.environ["DEVISE_CACHE"] = cache
    decoders.READ_AHEAD_BYTES = images_ahead(len(dataset.rows)) * 224 * 224 * 3
    start = time.monotonic()
    settings = ExtractionSettings(engine=engine, dtype="float32")
    bank = feature_bank(dataset, BACKBONES[name](), settings)
    return start, time.monotonic(), np.array(bank.features)


def bank_pace(name: str, dataset: ImageDataset, engine: str) -> BankPace:
    """Make a bank in another process, and watch its file grow."""
    n, seen = len(dataset.rows), [(0.0, 0)]
    with (
        tempfile.TemporaryDirectory() as cache,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        row_bytes = 4 * BACKBONES[name]().feature_dim
        work = pool.submit(make_bank, name, dataset, engine, cache)
        while not work.done():
            time.sleep(POLL_SECONDS)
            rows = sum(map(size_of, Path(cache).glob("*/*.unfinished"))) // row_bytes
            if rows > seen[-1][1]:
                seen.append((time.monotonic(), rows))
        start, end, features = work.result()
    (t0, rows0), (t1, rows1) = window(seen, n)
    return BankPace(end - start, seen[1][0] - start, (rows1 - rows0) / (t1 - t0), features)


def size_of(path: Path) -> int:
    """Bytes of a file that may be gone by now."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def images_ahead(n: int) -> int:
    """How far decoders are ahead: a quarter of the images at most, so that most are decoded while
    the network runs."""
    return min(MAX_AHEAD, n // 4)


def window(seen: list[tuple[float, int]], n: int) -> tuple[tuple[float, int], tuple[float, int]]:
    """Two moments at which as many images are decoded ahead."""
    low, high = images_ahead(n), n - images_ahead(n)
    return next(s for s in seen if s[1] >= low), next(s for s in seen if s[1] >= high)


def some(dataset: ImageDataset, n: int) -> ImageDataset:
    """Every so-many-th image, as a dataset."""
    chosen = np.linspace(0, len(dataset.rows) - 1, n).astype(int)
    return replace(
        dataset,
        rows=tuple(dataset.rows[i] for i in chosen),
        labels=dataset.labels[chosen],
        images=ImageFiles(dataset.images.paths[i] for i in chosen),
        fingerprint=f"{dataset.fingerprint} {n}",
        contents=None,
        looks=None,
    )


def show(*cells: str) -> None:
    """Print a row of the table, in Markdown, as soon as it is known."""
    print(f"| {' | '.join(cells)} |", flush=True)


def measure(name: str, dataset: ImageDataset) -> None:
    n, few = len(dataset.rows), some(dataset, FEW)
    plain = expected = None
    if name != "stand_in":
        workers = max(WORKERS, key=lambda w: in_fresh_process(plain_loop, name, few, w).steady)
        quarter = some(dataset, n // 4)
        plain = in_fresh_process(plain_loop, name, quarter, workers).steady
        expected = in_fresh_process(plain_loop, name, few, 0).features
        show(name, f"plain loop, {workers} workers", "", "", f"{plain:.1f}", "1.0", "", "")
    decoded = decoding(name, dataset)
    for engine in ("torch",) if plain is None else ("torch", "openvino"):
        pace = bank_pace(name, dataset, engine)
        for _ in range(TURNS - 1 if plain is None else 0):
            decoded = max(decoded, decoding(name, dataset))
            pace = max(pace, bank_pace(name, dataset, engine), key=attrgetter("steady"))
        network = in_fresh_process(network_pace, name, engine)
        bounds = {"decoding": decoded, "network": network, "writing": writing(pace.features)}
        bounds["decoding and network on these cores"] = 1 / (1 / decoded + 1 / network)
        times = f"{n / pace.seconds / plain:.1f}" if plain else ""
        show(
            name if plain is None else "", f"bank, {engine}", f"{pace.start_up:.1f}",
            f"{n / pace.seconds:.1f}", f"{pace.steady:.1f}", times, "",
            least_cosine(name, few, engine, expected),
        )  # fmt: skip
        for part, bound in bounds.items():
            share = f"{pace.steady / bound:.2f}"
            show("", part, "", "", f"{bound:,.1f}", "", share, "")


def least_cosine(name: str, dataset: ImageDataset, engine: str, expected: np.ndarray | None) -> str:
    """The least cosine of the bank's features to the plain loop's."""
    if expected is None:
        return ""
    with tempfile.TemporaryDirectory() as cache:
        _, _, features = in_fresh_process(make_bank, name, dataset, engine, cache)
    return f"{cosines(features, expected).min():.6f}"


def decode_share(name: str, dataset: ImageDataset, first: int, step: int) -> tuple[float, float]:
    """Decode every step-th image and drop the pixels; start and end."""
    torch.set_num_threads(1)
    images = PixelDataset(dataset, BACKBONES[name](), fast=False)
    images[0]  # what decoding imports
    start = time.monotonic()
    for i in range(first, len(images), step):
        images[i]
    return start, time.monotonic()


def decoding(name: str, dataset: ImageDataset) -> float:
    """Images per second that all cores decode, a process on each."""
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        shares = [pool.submit(decode_share, name, dataset, i, cores) for i in range(cores)]
        spans = [share.result() for share in shares]
    return len(dataset.rows) / max(end - start for start, end in spans)


def network_pace(name: str, engine: str) -> float:
    """Images per second that the network takes, on all cores."""
    backbone = BACKBONES[name]()
    size = backbone.preprocess.crop
    pixels = torch.randint(0, 256, (256, size, size, 3), dtype=torch.uint8)
    run = (
        openvino_engine(backbone, "float32")
        if engine == "openvino"
        else torch_engine(backbone, "cpu", "float32")
    ).run
    run(pixels[:BATCH])
    start = time.perf_counter()
    run(pixels)
    return len(pixels) / (time.perf_counter() - start)


def writing(features: np.ndarray) -> float:
    """Rows per second, written and flushed to the disk a batch at a time."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as file:
        for i in range(0, len(features), 64):
            file.write(features[i : i + 64].tobytes())
            file.flush()
            os.fsync(file.fileno())
    return len(features) / (time.perf_counter() - start)


def main(root: str, n: str = "4000", *names: str) -> None:
    dataset = some(caltech101(root), int(n))
    for path in dataset.images.paths:
        Path(path).read_bytes()
    print(f"{n} images, {torch.get_num_threads()} threads\n")
    show(
        "backbone", "", "first rows, s", "images/s, start-up included", "steady",
        "times the plain loop", "steady is of it", "least cosine",
    )  # fmt: skip
    show(*["---"] * 2, *["---:"] * 6)
    for name in names or NAMES:
        measure(name, dataset)


if __name__ == "__main__":
    main(*sys.argv[1:])
