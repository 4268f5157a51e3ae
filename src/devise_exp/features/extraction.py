"""Extraction: images through a frozen backbone, in batches that several processes share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.engines import (
    ENGINES,
    Engine,
    build_engine,
    choose_engine,
    cosines,
    has_bfloat16,
    torch_engine,
)
from devise_exp.features.pixels import PixelDataset, checked_pixels, collate_pixels, sample_pixels

MIN_FAST_COSINE = 0.999  # mean cosine of fast features to exact ones


@dataclass(frozen=True, kw_only=True)
class ExtractionSettings:
    """Settings of an extraction: the config's group `features`, and this process's shard.

    Process number `rank` of `world_size` extracts every world_size-th batch.

    Attributes:
        batch_size: Images in a batch.
        num_workers: Processes that decode images; None: a share of the threads.
        dtype: "float16" or "float32", in which features are stored.
        device: torch's name of the device, or "auto".
        engine: One of ENGINES.
        fast: Compute in bfloat16 and decode large JPEGs at a reduced size.
        rank: Number of this process.
        world_size: Number of processes.
        gpu: Number of this process's GPU, if `device` leaves the choice.
    """

    batch_size: int = 64
    num_workers: int | None = None
    dtype: str = "float16"
    device: str = "auto"
    engine: str = "auto"
    fast: bool = False
    rank: int = 0
    world_size: int = 1
    gpu: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in ("float16", "float32"):
            raise InputError(f"features.dtype={self.dtype}: choose float16 or float32")
        if self.engine not in ENGINES:
            raise InputError(f"features.engine={self.engine}: choose {', '.join(ENGINES)}")
        if not isinstance(self.fast, bool):
            raise InputError(f"features.fast={self.fast!r}: choose true or false")
        if type(self.batch_size) is not int or self.batch_size < 1:
            raise InputError(f"features.batch_size={self.batch_size!r}: give 1 or more")
        workers = self.num_workers
        if workers is not None and (type(workers) is not int or workers < 0):
            raise InputError(f"features.num_workers={workers!r}: give 0 or more, or null")


def extract(
    dataset: ImageDataset, backbone: Backbone, settings: ExtractionSettings, first_row: int
) -> tuple[Engine, Iterator[bytes]]:
    """Start to extract this process's shard of a feature bank.

    Args:
        dataset: A dataset with images.
        backbone: The network and its preprocessing.
        settings: How to extract, and which shard.
        first_row: First row of the bank that is still missing.

    Returns:
        The engine, and this process's batches of rows as bytes of `settings.dtype`, in order.

    Raises:
        InputError: The device or the engine is not available, an image cannot be read, or fast
            features differ too much from exact ones.
    """
    device = _device(settings)
    pixels = PixelDataset(dataset, backbone, settings.fast)
    # The network first, for the loader's processes then have what it imports; these decode while
    # the engine is made of it.
    backbone.network.eval()
    batches = iter(_loader(pixels, settings, device, first_row))
    name, precision = engine_and_precision(settings, len(pixels))
    exact = torch.empty(0)  # pixels
    if settings.fast or name != "torch":
        exact = sample_pixels(PixelDataset(dataset, backbone, fast=False))
    if settings.fast and precision == "float32":
        notify(f"features.fast: no bfloat16 on this {device}: only large JPEGs are faster")
    engine = build_engine(name, precision, backbone, device, exact)
    if settings.fast:
        expected = torch_engine(backbone, device, "float32").run(exact)
        _check_fast(cosines(engine.run(sample_pixels(pixels)), expected), backbone)
    return engine, _rows(batches, engine, settings.dtype)


def _loader(
    pixels: PixelDataset, settings: ExtractionSettings, device: str, first_row: int
) -> DataLoader:
    """Batches of the shard, decoded by other processes."""
    n, size = len(pixels), settings.batch_size
    starts = range(first_row + settings.rank * size, n, settings.world_size * size)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)  # or the loader would pin memory by way of the first GPU
    return DataLoader(
        pixels,
        batch_sampler=[list(range(i, min(i + size, n))) for i in starts],
        num_workers=_decoders(settings),
        collate_fn=collate_pixels,
        pin_memory=device.startswith("cuda"),
    )


def _check_fast(similarities: np.ndarray, backbone: Backbone) -> None:
    """InputError for too low cosines of fast features to exact ones."""
    mean = similarities.mean()
    if not mean >= MIN_FAST_COSINE:
        raise InputError(
            f"features.fast=true: features of {backbone.name} have a mean cosine of {mean:.5f} to "
            f"the exact ones, under {MIN_FAST_COSINE}: leave features.fast=false"
        )


def _rows(batches: Iterator[Tensor | str], engine: Engine, dtype: str) -> Iterator[bytes]:
    """Features of every batch as bytes."""
    for pixels in batches:
        with np.errstate(over="ignore"):  # reported where the rows come together
            yield engine.run(checked_pixels(pixels)).astype(dtype).tobytes()


def engine_and_precision(settings: ExtractionSettings, n: int) -> tuple[str, str]:
    """Choose what runs the network.

    Args:
        settings: How to extract.
        n: Number of images.

    Returns:
        The engine, "torch" or "openvino", and its precision, "float32" or "bfloat16".

    Raises:
        InputError: The device or the engine is not available.
    """
    device = _device(settings)
    precision = "bfloat16" if settings.fast and has_bfloat16(device) else "float32"
    return choose_engine(settings.engine, device, n), precision


def _decoders(settings: ExtractionSettings) -> int:
    """Count the processes that decode: this process's share of the threads, at least two.

    Decoders ahead of the network wait, so a network on the processor has its cores.
    """
    if settings.num_workers is None:
        return max(2, torch.get_num_threads() // settings.world_size)
    return settings.num_workers


def _device(settings: ExtractionSettings) -> str:
    """Name the device as torch does; GPU numbers are modulo those that this process sees."""
    device = settings.device
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{settings.gpu % torch.cuda.device_count()}"
    if device == "auto":
        return "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"features.device={device}: {reason}; features.device=auto takes what is there"
        ) from error
    return device
