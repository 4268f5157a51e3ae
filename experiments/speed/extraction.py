"""How fast do picture files become a feature bank, against the plain loop?

python experiments/speed/extraction.py ROOT [PICTURES] [BACKBONE ...]

ROOT: a folder with caltech101/101_ObjectCategories. Of its pictures every n-th is taken, PICTURES
(4,000) in all. The plain loop is a DataLoader over PIL pictures and the network as it comes,
float32, with the number of workers that was the quickest on a hundred pictures. Cosines are those
of the same rows. Decoding, network and writing alone bound what they reach together; the
share of a bound is the pace of the bank over it, and where shares add up to 1 nothing waits. Each
way is a process of its own, start-up included, and all files were read before.
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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from devise_exp.data.caltech import caltech101
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.images import ImageFiles
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.backbones.torchvision import torchvision_backbone
from devise_exp.features.bank import feature_bank
from devise_exp.features.engines import cosines, openvino_engine, torch_engine
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.features.pixels import PixelDataset, collate_pixels

BATCH, WORKERS, FEW = 32, (0, 1, 2), 100
BACKBONES: dict[str, Callable[[], Backbone]] = {
    "efficientnet_lite0": lambda: efficientnet_lite(0),
    # Weights change neither the pace nor how alike the engines are.
    "resnet18": lambda: torchvision_backbone("resnet18", weights=None),
    "resnet50": lambda: torchvision_backbone("resnet50", weights=None),
}


class Pictures(torch.utils.data.Dataset):
    """What anyone would write first."""

    def __init__(self, dataset: ImageDataset, backbone: Backbone) -> None:
        self.images, self.preprocess = dataset.images, backbone.preprocess

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.preprocess(self.images[i])


def own_process(work: Callable[..., Any], *given: Any) -> Any:
    """What `work` returns in a process that has run nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def plain_loop(name: str, dataset: ImageDataset, workers: int) -> tuple[float, np.ndarray]:
    """Seconds, and the features."""
    start, backbone = time.perf_counter(), BACKBONES[name]()
    network = backbone.network.eval()
    loader = DataLoader(Pictures(dataset, backbone), BATCH, num_workers=workers)
    with torch.no_grad():
        found = torch.cat([network(images) for images in loader]).numpy()
    return time.perf_counter() - start, found


def bank(name: str, dataset: ImageDataset, engine: str) -> tuple[float, np.ndarray]:
    """Seconds, and the features."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DEVISE_CACHE"] = cache
        start = time.perf_counter()
        settings = ExtractionSettings(engine=engine, dtype="float32")
        bank = feature_bank(dataset, BACKBONES[name](), settings)
        return time.perf_counter() - start, np.array(bank.features)


def some(dataset: ImageDataset, n: int) -> ImageDataset:
    """Every so-many-th picture, as a dataset of its own."""
    chosen = np.linspace(0, len(dataset.rows) - 1, n).astype(int)
    return replace(
        dataset,
        rows=tuple(dataset.rows[i] for i in chosen),
        labels=dataset.labels[chosen],
        images=ImageFiles(dataset.images.paths[i] for i in chosen),
        fingerprint=f"{dataset.fingerprint} {n}",
    )


def measure(name: str, dataset: ImageDataset, table: Table) -> None:
    n, few = len(dataset.rows), some(dataset, FEW)
    workers = min(WORKERS, key=lambda w: own_process(plain_loop, name, few, w)[0])
    plain, expected = own_process(plain_loop, name, dataset, workers)
    table.add_row(name, f"plain loop, {workers} workers", f"{n / plain:.1f}", "1.0", "", "")
    paces = {"decoding": decoding(name, dataset), "writing": writing(expected)}
    for engine in ("torch", "openvino"):
        seconds, found = own_process(bank, name, dataset, engine)
        least = f"{cosines(found, expected).min():.6f}"
        table.add_row(
            "", f"bank, {engine}", f"{n / seconds:.1f}", f"{plain / seconds:.1f}", least, ""
        )
        bounds = {**paces, "network": own_process(network, name, engine)}
        for part in ("decoding", "network", "writing"):
            share = f"{n / seconds / bounds[part]:.2f}"
            table.add_row("", f"  {part} alone", f"{bounds[part]:,.1f}", "", "", share)


def decoding(name: str, dataset: ImageDataset) -> float:
    """Pictures per second that are decoded for the bank, on all cores."""
    pictures = PixelDataset(dataset, BACKBONES[name](), fast=False)
    loader = DataLoader(pictures, 64, num_workers=os.cpu_count() or 1, collate_fn=collate_pixels)
    start = time.perf_counter()
    n = sum(len(pixels) for pixels in loader)
    return n / (time.perf_counter() - start)


def network(name: str, engine: str) -> float:
    """Pictures per second that the network takes, on all cores."""
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
    columns = ("pictures/s", "times the plain loop", "least cosine", "share of the bound")
    table = Table("backbone", "", *columns)
    for name in names or BACKBONES:
        measure(name, dataset, table)
    console = Console(width=110)
    console.print(table)
    console.print(f"{n} pictures, {torch.get_num_threads()} threads, start-up included")


if __name__ == "__main__":
    main(*sys.argv[1:])
