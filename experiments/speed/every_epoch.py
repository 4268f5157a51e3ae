"""From picture files to a trained head: a frozen network run again in every epoch, against a bank.

python experiments/speed/every_epoch.py ROOT

ROOT: a folder with caltech101/101_ObjectCategories. 1,000 of its pictures, resnet18, a linear head
into 300 dimensions, 30 epochs. Of the first way EPOCHS_TIMED epochs, all of which are the same
work, are timed and carried on to 30. Ours: the bank from the files, and 30 epochs on it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from extraction import BACKBONES, PlainImages, in_fresh_process, some
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader, Dataset

from devise_exp.data.caltech import caltech101
from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.bank import feature_bank
from devise_exp.methods.losses import hinge_rank
from devise_exp.methods.task import GuardedFeatures
from devise_exp.training.batches import FeatureInputs, RowBatches
from devise_exp.training.loop import TrainSettings, train_projection

PICTURES, DIM, EPOCHS, EPOCHS_TIMED, WORKERS, BATCH = 1000, 300, 30, 3, 2, 32


class Labelled(Dataset):
    def __init__(self, dataset: ImageDataset, backbone: Backbone) -> None:
        self.images, self.labels = PlainImages(dataset, backbone), dataset.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.images[i], int(self.labels[i])


def every_epoch(dataset: ImageDataset, vectors: torch.Tensor) -> float:
    """Seconds of EPOCHS epochs."""
    backbone = BACKBONES["resnet18"]()
    network, head = backbone.network.eval(), nn.Linear(backbone.feature_dim, DIM)
    optimizer = torch.optim.Adam(head.parameters())
    loader = DataLoader(Labelled(dataset, backbone), BATCH, shuffle=True, num_workers=WORKERS)
    start = time.perf_counter()
    for _ in range(EPOCHS_TIMED):
        for images, targets in loader:
            with torch.no_grad():
                features = network(images)
            loss = hinge_rank(head(features), targets, vectors)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return (time.perf_counter() - start) * EPOCHS / EPOCHS_TIMED


def on_the_bank(dataset: ImageDataset, vectors: torch.Tensor, cache: str) -> float:
    os.environ["DEVISE_CACHE"] = cache
    start, backbone = time.perf_counter(), BACKBONES["resnet18"]()
    features = feature_bank(dataset, backbone).features
    every = np.arange(len(dataset.rows))
    rows = RowBatches(
        FeatureInputs(GuardedFeatures(features, np.ones(len(every), dtype=bool))),
        every,
        dataset.labels,
    )
    settings = TrainSettings(
        loss=hinge_rank, optimizer=torch.optim.Adam, epochs=EPOCHS, batch_size=BATCH
    )
    train_projection(nn.Linear(backbone.feature_dim, DIM), vectors, settings, rows, rows, seed=0)
    return time.perf_counter() - start


def main(root: str) -> None:
    dataset = some(caltech101(root), PICTURES)
    drawn = torch.Generator().manual_seed(0)
    vectors = F.normalize(torch.randn(len(dataset.classes), DIM, generator=drawn))
    with tempfile.TemporaryDirectory() as cache:
        ours = in_fresh_process(on_the_bank, dataset, vectors, cache)
    plain = in_fresh_process(every_epoch, dataset, vectors)
    table = Table("", "seconds", "times as fast")
    table.add_row("the network in every epoch", f"{plain:.0f}", "1.0")
    table.add_row("the bank, then all epochs", f"{ours:.1f}", f"{plain / ours:.0f}")
    console = Console(width=100)
    console.print(table)
    console.print(
        f"{PICTURES:,} pictures, resnet18, {EPOCHS} epochs; {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
