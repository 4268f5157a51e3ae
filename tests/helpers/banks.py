"""Small banks: a backbone, images that note when they are opened, a killed process."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.bank import FeatureBank, OtherShards, feature_bank
from devise_exp.features.extraction import ExtractionSettings

FORK = multiprocessing.get_context("fork")  # a new interpreter would import torch again


ROW_BYTES = 12 * 2  # float16


class Watched(Sequence[Image.Image]):
    """Images that note in `log` which were opened, over all processes; `stop` is never given."""

    def __init__(self, images: Sequence[Image.Image], log: Path, stop: int | None = None) -> None:
        self.images, self.log, self.stop = images, log, stop

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        while index == self.stop:
            time.sleep(0.1)
        with self.log.open("a") as log:
            log.write(f"{index}\n")
        return self.images[index]

    def opened(self) -> list[int]:
        return sorted(map(int, self.log.read_text().split())) if self.log.exists() else []


def small_backbone(seed: int = 0, scale: float = 1.0) -> Backbone:
    """Twelve features of 24 x 24 pixels."""
    torch.manual_seed(seed)
    convolution = nn.Conv2d(3, 12, 5, stride=2)
    with torch.no_grad():
        convolution.weight *= scale
    pool = nn.AdaptiveAvgPool2d(1)
    network = nn.Sequential(convolution, nn.ReLU(), pool, nn.Flatten())
    return Backbone(
        name="small",
        build=lambda: network,
        feature_dim=12,
        preprocess=Preprocess(resize=28, crop=24),
        categories=(),
    )


def plain_loop(dataset: ImageDataset, backbone: Backbone) -> np.ndarray:
    assert dataset.images is not None
    network = backbone.network.eval()
    with torch.no_grad():
        rows = [network(backbone.preprocess(image)[None])[0] for image in dataset.images]
    return torch.stack(rows).numpy()


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    similarities: np.ndarray = (
        (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    )
    return similarities


def opened(dataset: ImageDataset) -> list[int]:
    assert isinstance(dataset.images, Watched)
    return dataset.images.opened()


def bank_of(
    dataset: ImageDataset,
    backbone: Backbone | None = None,
    other_shards: OtherShards | None = None,
    **options: Any,
) -> FeatureBank:
    options = {"batch_size": 8, "num_workers": 0} | options
    return feature_bank(
        dataset, backbone or small_backbone(), ExtractionSettings(**options), other_shards
    )


def left_in(cache: Path) -> list[str]:
    """What stands in the cache beside locks."""
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def killed_extraction(dataset: ImageDataset, stop: int, cache: Path, log: Path) -> Path:
    """Extract in a process that waits for row `stop` for ever, and kill it there."""
    assert dataset.images is not None
    stuck = dataclasses.replace(dataset, images=Watched(dataset.images, log, stop))
    process = FORK.Process(target=bank_of, args=(stuck,))
    process.start()
    enough = stop // 8 * 8 * ROW_BYTES
    until = time.monotonic() + 60
    while sum(path.stat().st_size for path in cache.glob("*.unfinished")) < enough:
        assert process.is_alive()
        assert time.monotonic() < until
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    [unfinished] = cache.glob("*.unfinished")
    assert unfinished.stat().st_size == enough
    return unfinished
