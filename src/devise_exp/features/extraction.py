"""Pictures through a frozen backbone: batches of features, of which several processes each make
their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.images import ImageFiles
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.engines import (
    ENGINES,
    Engine,
    choose_engine,
    cosines,
    engine_of,
    has_bfloat16,
    torch_engine,
)

SAMPLE = 8  # pictures by which an engine is compared with plain torch
NEARLY = 0.999  # the mean cosine of fast features to exact ones


@dataclass(frozen=True)
class ExtractionSettings:
    """The config's group features. Of several processes number `rank` of `world_size` makes every
    world_size-th batch, with the GPU number `gpu` where device leaves the choice.
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


def extraction(
    dataset: ImageDataset, backbone: Backbone, how: ExtractionSettings, start: int
) -> tuple[Engine, Iterator[bytes]]:
    """What runs the network, and rows of the bank from `start` on, batch by batch, but those that
    are another process's.

    InputError for a device or an engine that is not there, and a picture that cannot be read.
    """
    n, size = len(dataset.rows), how.batch_size
    own = range(start + how.rank * size, n, how.world_size * size)
    place = _place(how.device, how.gpu)
    if place.startswith("cuda"):
        torch.cuda.set_device(place)  # or the loader would pin memory by way of the first GPU
    pictures = Pixels(dataset, backbone, how.fast)
    loader = DataLoader(
        pictures,
        batch_sampler=[list(range(i, min(i + size, n))) for i in own],
        num_workers=_workers(how),
        collate_fn=stacked,
        pin_memory=place.startswith("cuda"),
    )
    # The network first, for the loader's processes then have what it imports; these decode while
    # the engine is made of it.
    backbone.network.eval()
    loaded = iter(loader)
    name, precision = made_by(how, n)
    if how.fast and precision == "float32":
        notify(f"features.fast: no bfloat16 on this {place}: only large JPEGs are quicker")
    sample = torch.empty(0)
    if how.fast or name != "torch":
        sample = _some(Pixels(dataset, backbone, fast=False))
    engine = engine_of(name, precision, backbone, place, sample)
    if how.fast:
        expected = torch_engine(backbone, place, "float32").run(sample)
        _check_fast(cosines(engine.run(_some(pictures)), expected), backbone)
    return engine, _rows(loaded, engine, how.dtype)


def _check_fast(alike: np.ndarray, backbone: Backbone) -> None:
    """alike: cosines of some pictures' fast features to their exact ones."""
    if not alike.mean() >= NEARLY:
        raise InputError(
            f"features.fast=true: features of {backbone.name} come out with a mean cosine of "
            f"{alike.mean():.5f} to the exact ones, under {NEARLY}: leave features.fast=false"
        )


def _rows(loaded: Iterator[Tensor | str], engine: Engine, dtype: str) -> Iterator[bytes]:
    for pixels in loaded:
        with np.errstate(over="ignore"):  # said where the rows come together
            yield engine.run(_sound(pixels)).astype(dtype).tobytes()


def made_by(how: ExtractionSettings, n: int) -> tuple[str, str]:
    """What runs the network over n pictures, torch or openvino, and its precision. InputError for
    what cannot.
    """
    place = _place(how.device, how.gpu)
    precision = "bfloat16" if how.fast and has_bfloat16(place) else "float32"
    return choose_engine(how.engine, place, n), precision


def _workers(how: ExtractionSettings) -> int:
    """Processes that decode: this process's share of the threads, two at least. Those that are
    ahead of the network wait, so that it has the cores where it runs on them itself.
    """
    if how.num_workers is None:
        return max(2, torch.get_num_threads() // how.world_size)
    return how.num_workers


def _place(device: str, gpu: int) -> str:
    """gpu: the number of the one to choose, modulo those that this process sees."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{gpu % torch.cuda.device_count()}"
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


class Pixels(Dataset):
    """Row index -> pixels (crop, crop, 3) uint8, or the reason why they could not be read. fast: a
    large JPEG is decoded at a reduced size, at least twice what is needed.
    """

    def __init__(self, dataset: ImageDataset, backbone: Backbone, fast: bool) -> None:
        assert dataset.images is not None
        self.images, self.rows = dataset.images, dataset.rows
        self.preprocess = backbone.preprocess
        if fast and isinstance(self.images, ImageFiles):
            self.images = self.images.reduced(2 * self.preprocess.shorter_side)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor | str:
        try:
            image = self.images[index]
        except MemoryError:
            raise
        except Exception as error:  # decoders meet damaged bytes with nearly any exception
            # Text, for an error that leaves a loader's process brings its traceback along.
            return f"{self.rows[index]}: {' '.join(str(error).split())}"
        return self.preprocess.pixels(image)


def _some(pictures: Pixels) -> Tensor:
    """Pixels of some pictures from first to last, by which an engine is looked at."""
    n = len(pictures)
    return _sound(stacked([pictures[i] for i in np.linspace(0, n - 1, min(SAMPLE, n), dtype=int)]))


def stacked(items: list[Any]) -> Tensor | str:
    broken = [item for item in items if isinstance(item, str)]
    return broken[0] if broken else torch.stack(items)


def _sound(pixels: Tensor | str) -> Tensor:
    """InputError where a picture of the batch could not be read."""
    if isinstance(pixels, str):
        raise InputError(f"a picture can no longer be read: {pixels}: start again to skip it")
    return pixels
