"""How fast do picture files become a feature bank, against the plain loop?

python experiments/speed/extraction.py ROOT [PICTURES] [BACKBONE ...]

ROOT: a folder with caltech101/101_ObjectCategories. Of its pictures every n-th is taken, PICTURES
(1,500) in all. The plain loop is a DataLoader over PIL pictures and the network as it comes,
float32, with the number of workers that was the quickest on a tenth of the pictures. Cosines are
those of the same rows. Decoding, network and writing alone bound what they reach together; the
share of a bound is the pace of the bank over it, and where shares add up to 1 nothing waits.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from devise_exp.backbone import Backbone, efficientnet_lite, torchvision_backbone
from devise_exp.datasets import ImageDataset
from devise_exp.engines import cosines, openvino_engine, torch_engine
from devise_exp.extraction import _batch, _Pictures
from devise_exp.features import feature_bank
from devise_exp.pictures import PictureFiles
from devise_exp.published_datasets import caltech101

BATCH, WORKERS = 32, (0, 1, 2, 4)
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


def plain_loop(dataset: ImageDataset, backbone: Backbone, workers: int) -> np.ndarray:
    network = backbone.network.eval().to(memory_format=torch.contiguous_format)
    loader = DataLoader(Pictures(dataset, backbone), BATCH, num_workers=workers)
    with torch.no_grad():
        return torch.cat([network(images) for images in loader]).numpy()


def timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def bank(dataset: ImageDataset, backbone: Backbone, engine: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DEVISE_CACHE"] = cache
        made = feature_bank(dataset, backbone, engine=engine, dtype="float32")
        return np.array(made.features)


def some(dataset: ImageDataset, n: int) -> ImageDataset:
    """Every so-many-th picture, as a dataset of its own."""
    chosen = np.linspace(0, len(dataset.rows) - 1, n).astype(int)
    return replace(
        dataset,
        rows=tuple(dataset.rows[i] for i in chosen),
        labels=dataset.labels[chosen],
        images=PictureFiles(dataset.images.paths[i] for i in chosen),
        fingerprint=f"{dataset.fingerprint} {n}",
    )


def measure(name: str, dataset: ImageDataset, table: Table) -> None:
    n, few = len(dataset.rows), some(dataset, len(dataset.rows) // 10)
    workers = min(WORKERS, key=lambda w: timed(lambda: plain_loop(few, BACKBONES[name](), w))[0])
    plain, expected = timed(lambda: plain_loop(dataset, BACKBONES[name](), workers))
    table.add_row(name, f"plain loop, {workers} workers", f"{n / plain:.1f}", "1.0", "", "")
    bounds = {**alone(BACKBONES[name](), dataset), "writing": writing(expected)}
    for engine in ("torch", "openvino"):
        seconds, found = timed(lambda e=engine: bank(dataset, BACKBONES[name](), e))
        paces = f"{n / seconds:.1f}", f"{plain / seconds:.1f}"
        table.add_row("", f"bank, {engine}", *paces, f"{cosines(found, expected).min():.6f}", "")
        for part in ("decoding", f"network, {engine}", "writing"):
            share = f"{n / seconds / bounds[part]:.2f}"
            table.add_row("", f"  {part} alone", f"{bounds[part]:.1f}", "", "", share)


def alone(backbone: Backbone, dataset: ImageDataset) -> dict[str, float]:
    """Pictures per second that decoding alone and the network alone reach, on all cores."""
    n, size = len(dataset.rows), backbone.preprocess.crop
    loader = DataLoader(
        _Pictures(dataset, backbone, fast=False),
        64,
        num_workers=os.cpu_count() or 1,
        collate_fn=_batch,
    )
    seconds, _ = timed(lambda: np.array([len(pixels) for pixels in loader]))
    paces = {"decoding": n / seconds}
    pixels = torch.randint(0, 256, (128, size, size, 3), dtype=torch.uint8)
    for engine in (torch_engine(backbone, "cpu", "float32"), openvino_engine(backbone, "float32")):
        engine.run(pixels[:BATCH])
        seconds, _ = timed(lambda run=engine.run: run(pixels))
        paces[f"network, {engine.name}"] = len(pixels) / seconds
    return paces


def writing(features: np.ndarray) -> float:
    """Rows per second, written and flushed to the disk a batch at a time."""

    def write() -> np.ndarray:
        with tempfile.TemporaryFile() as file:
            for start in range(0, len(features), 64):
                file.write(features[start : start + 64].tobytes())
                file.flush()
                os.fsync(file.fileno())
        return features

    return len(features) / timed(write)[0]


def main(root: str, n: str = "1500", *names: str) -> None:
    warnings.filterwarnings("ignore", message=".*worker processes")
    dataset = some(caltech101(root), int(n))
    columns = ("pictures/s", "times the plain loop", "least cosine", "share of the bound")
    table = Table("backbone", "", *columns)
    for name in names or BACKBONES:
        measure(name, dataset, table)
    console = Console(width=110)
    console.print(table)
    console.print(f"{n} pictures, {torch.get_num_threads()} threads, start-up included")


if __name__ == "__main__":
    main(*sys.argv[1:])
