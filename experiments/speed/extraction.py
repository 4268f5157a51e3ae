"""How fast do picture files become a feature bank, against the plain loop?

python experiments/speed/extraction.py ROOT [PICTURES] [BACKBONE ...]

ROOT: a folder with caltech101/101_ObjectCategories. Of its pictures every n-th is taken, PICTURES
(600) in all. The plain loop is a DataLoader over PIL pictures and the network as it comes, float32,
with the best of several numbers of workers. Cosines are those of the same rows. Decoding alone and
the network alone bound what the two together can reach.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
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
        made = feature_bank(dataset, backbone, batch_size=BATCH, engine=engine, dtype="float32")
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
    n = len(dataset.rows)
    plain, expected = min(
        (timed(lambda w=w: plain_loop(dataset, BACKBONES[name](), w)) for w in WORKERS),
        key=lambda each: each[0],
    )
    table.add_row(name, "plain loop", f"{n / plain:.1f}", "1.0", "")
    for engine in ("torch", "openvino"):
        backbone = BACKBONES[name]()
        seconds, found = timed(lambda b=backbone, e=engine: bank(dataset, b, e))
        figures = (
            f"{n / seconds:.1f}",
            f"{plain / seconds:.1f}",
            f"{cosines(found, expected).min():.6f}",
        )
        table.add_row(name, f"bank, {engine}", *figures)
    backbone = BACKBONES[name]()
    loader = DataLoader(Pictures(dataset, backbone), BATCH, num_workers=2)
    decoding, _ = timed(lambda: np.array([len(images) for images in loader]))
    table.add_row(name, "decoding alone", f"{n / decoding:.1f}", "", "")
    size = backbone.preprocess.crop
    images = torch.randn(128, 3, size, size)
    for engine, made in (
        ("torch", torch_engine(backbone.network, "cpu")),
        ("openvino", openvino_engine(backbone.network, size, backbone.feature_dim)),
    ):
        made(images[:BATCH])
        seconds, _ = timed(lambda run=made: run(images))
        table.add_row(name, f"network alone, {engine}", f"{128 / seconds:.1f}", "", "")


def main(root: str, n: str = "600", *names: str) -> None:
    dataset = some(caltech101(root), int(n))
    table = Table("backbone", "", "pictures/s", "times the plain loop", "least cosine")
    for name in names or BACKBONES:
        measure(name, dataset, table)
    console = Console(width=100)
    console.print(table)
    console.print(f"{n} pictures, {torch.get_num_threads()} threads, start-up included")


if __name__ == "__main__":
    main(*sys.argv[1:])
