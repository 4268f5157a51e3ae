"""Pictures through a frozen backbone: batches of features, of which several processes each make
their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from devise_exp.backbone import Backbone
from devise_exp.datasets import ImageDataset
from devise_exp.engines import ENGINES, engine_of, name_of
from devise_exp.errors import InputError


@dataclass(frozen=True)
class Settings:
    """The config's group features. Of several processes number `rank` of `world` makes every
    world-th batch, with the GPU number `gpu` where device leaves the choice.
    """

    batch_size: int = 64
    num_workers: int = 2
    dtype: str = "float16"
    device: str = "auto"
    engine: str = "auto"
    rank: int = 0
    world: int = 1
    gpu: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in ("float16", "float32"):
            raise InputError(f"features.dtype={self.dtype}: choose float16 or float32")
        if self.engine not in ENGINES:
            raise InputError(f"features.engine={self.engine}: choose {', '.join(ENGINES)}")
        whole = isinstance(self.batch_size, int) and isinstance(self.num_workers, int)
        if not whole or self.batch_size < 1 or self.num_workers < 0:
            raise InputError(
                f"features.batch_size={self.batch_size}, features.num_workers={self.num_workers}: "
                "give a batch of 1 or more and 0 or more workers"
            )


def batches(
    dataset: ImageDataset, backbone: Backbone, how: Settings, start: int
) -> Iterator[bytes]:
    """Rows of the bank from `start` on, batch by batch, but those that are another process's.

    InputError for a device or an engine that is not there, and a picture that cannot be read.
    """
    n, size = len(dataset.rows), how.batch_size
    own = range(start + how.rank * size, n, how.world * size)
    loader = DataLoader(
        _Pictures(dataset, backbone),
        batch_sampler=[list(range(i, min(i + size, n))) for i in own],
        num_workers=how.num_workers,
        collate_fn=_batch,
    )
    place = _place(how.device, how.gpu)
    run = engine_of(engine_name(how, n), backbone, place)
    for images in loader:
        if isinstance(images, str):
            raise InputError(f"a picture can no longer be read: {images}: start again to skip it")
        with np.errstate(over="ignore"):  # said where the rows come together
            yield run(images).astype(how.dtype).tobytes()


def engine_name(how: Settings, n: int) -> str:
    """What runs the network over n pictures: torch or openvino. InputError for what cannot."""
    return name_of(how.engine, _place(how.device, how.gpu), n)


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
        raise InputError(f"features.device={device}: {reason}; auto takes what is there") from error
    return device


class _Pictures(Dataset):
    """Row index -> preprocessed picture, or the reason why it could not be read."""

    def __init__(self, dataset: ImageDataset, backbone: Backbone) -> None:
        assert dataset.images is not None
        self.images, self.rows = dataset.images, dataset.rows
        self.preprocess = backbone.preprocess

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor | str:
        try:
            image = self.images[index]
        except MemoryError:
            raise
        except Exception as error:  # decoders meet damaged bytes with nearly any exception
            # Text, for an error that leaves a loader's process brings its traceback along.
            return f"{self.rows[index]}: {' '.join(str(error).split())}"
        return self.preprocess(image)


def _batch(items: list[Any]) -> torch.Tensor | str:
    broken = [item for item in items if isinstance(item, str)]
    return broken[0] if broken else torch.stack(items)
