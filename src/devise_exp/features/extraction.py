"""Extraction: images through a frozen backbone, decoded ahead in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.decoders import Batches, decoded_batches
from devise_exp.features.engines import (
    ENGINES,
    Engine,
    build_engine,
    choose_engine,
    cosines,
    has_bfloat16,
    torch_engine,
)
from devise_exp.features.pixels import PixelDataset, checked_pixels, sample_pixels

BATCHES_AT_ONCE = 2  # on a GPU, while the next is sent there
MIN_FAST_COSINE = 0.999  # mean cosine of fast features to exact ones


@dataclass(frozen=True, kw_only=True)
class ExtractionSettings:
    """Settings of an extraction: the config's group `features`, and this process's shard.

    Process number `rank` of `world_size` extracts every world_size-th batch.

    Attributes:
        batch_size: Images in a batch; None: 128 on a GPU, which computes one while it is sent the
            next, and 64 elsewhere.
        num_workers: Processes that decode images; None: a share of the threads.
        dtype: "float16" or "float32", in which features are stored.
        device: torch's name of the device, or "auto".
        engine: One of ENGINES.
        fast: Compute in bfloat16 and decode large JPEGs at a reduced size, where either is faster.
        rank: Number of this process.
        world_size: Number of processes.
        gpu: Number of this process's GPU, if `device` leaves the choice.
    """

    batch_size: int | None = None
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
        size = self.batch_size
        if size is not None and (type(size) is not int or size < 1):
            raise InputError(f"features.batch_size={size!r}: give 1 or more, or null")
        workers = self.num_workers
        if workers is not None and (type(workers) is not int or workers < 0):
            raise InputError(f"features.num_workers={workers!r}: give 0 or more, or null")

    @property
    def images_at_once(self) -> int:
        """Images in a batch."""
        return self.batch_size or (128 if _device(self).startswith("cuda") else 64)


def without_idle_fast(
    settings: ExtractionSettings, dataset: ImageDataset, backbone: Backbone
) -> ExtractionSettings:
    """Compute exactly, and say so, if `features.fast` would not be faster.

    Args:
        settings: How to extract.
        dataset: The images.
        backbone: The network and its preprocessing.

    Returns:
        The settings, without `fast` if neither bfloat16 nor smaller decoding is to be had.
    """
    if not settings.fast or dataset.images is None or has_bfloat16(_device(settings)):
        return settings
    if len(dataset.rows) and PixelDataset(dataset, backbone, fast=True).is_faster:
        return settings
    if settings.rank == 0:
        notify(
            f"features.fast=true is not faster here: no bfloat16 on this {_device(settings)}, and "
            "no JPEGs large enough to be decoded at a reduced size: features are computed exactly"
        )
    return replace(settings, fast=False)


@contextmanager
def extraction(
    dataset: ImageDataset, backbone: Backbone, settings: ExtractionSettings, first_row: int
) -> Iterator[tuple[Engine, Iterator[bytes]]]:
    """Extract this process's shard of a feature bank.

    Args:
        dataset: A dataset with images.
        backbone: The network and its preprocessing.
        settings: How to extract, and which shard.
        first_row: First row of the bank that is still missing.

    Yields:
        The engine, and this process's batches of rows as bytes of `settings.dtype`, in order.

    Raises:
        InputError: The device or the engine is not available, an image cannot be read, or fast
            features differ too much from exact ones.
    """
    device, size = _device(settings), settings.images_at_once
    pixels = PixelDataset(dataset, backbone, settings.fast)
    batches = Batches(
        rows=len(pixels),
        size=size,
        first=first_row + settings.rank * size,
        step=settings.world_size,
    )
    # First, so that images are decoded while the network and its engine are imported and built.
    with decoded_batches(pixels, batches, _decoders(settings), device == "cpu") as decoded:
        engine = _checked_engine(dataset, backbone, settings, pixels)
        yield engine, _rows(decoded, engine, settings.dtype)


def _checked_engine(
    dataset: ImageDataset, backbone: Backbone, settings: ExtractionSettings, pixels: PixelDataset
) -> Engine:
    """Build the engine; InputError for fast features that are too far from exact ones."""
    device = _device(settings)
    backbone.network.eval()
    name, precision = engine_and_precision(settings, len(pixels))
    exact = torch.empty(0)  # pixels
    if settings.fast or name != "torch":
        exact = sample_pixels(PixelDataset(dataset, backbone, fast=False))
    engine = build_engine(name, precision, backbone, device, exact)
    if settings.fast:
        expected = torch_engine(backbone, device, "float32").run(exact)
        _check_fast(cosines(engine.run(sample_pixels(pixels)), expected), backbone)
    return engine


def _check_fast(similarities: np.ndarray, backbone: Backbone) -> None:
    """InputError for too low cosines of fast features to exact ones."""
    mean = similarities.mean()
    if not mean >= MIN_FAST_COSINE:
        raise InputError(
            f"features.fast=true: features of {backbone.name} have a mean cosine of {mean:.5f} to "
            f"the exact ones, under {MIN_FAST_COSINE}: leave features.fast=false"
        )


def _rows(decoded: Iterator[Tensor | str], engine: Engine, dtype: str) -> Iterator[bytes]:
    """Features of every batch as bytes."""
    for features in in_order(engine, map(checked_pixels, decoded)):
        with np.errstate(over="ignore"):  # reported where the rows come together
            yield features.astype(dtype).tobytes()


def in_order(engine: Engine, batches: Iterator[Tensor]) -> Iterator[np.ndarray]:
    """Run an engine over batches, some of them at once if the device computes by itself.

    Args:
        engine: The engine.
        batches: Pixels (B, crop, crop, 3) uint8, which stand until the next batch is asked for.

    Yields:
        Features (B, feature_dim) float32 of each batch; an error of `batches` comes after those of
        all batches before it.
    """
    if engine.start is None:
        yield from map(engine.run, batches)
        return
    running: deque[Callable[[], np.ndarray]] = deque()
    failure = None
    try:
        for pixels in batches:
            running.append(engine.start(pixels))
            if len(running) > BATCHES_AT_ONCE:
                yield running.popleft()()
    except Exception as error:
        failure = error
    while running:
        yield running.popleft()()
    if failure is not None:
        raise failure


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

    Beside a network on the processor they have a lower priority.
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
