"""The feature bank: every picture through a frozen backbone, once, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset

from devise_exp.backbone import Backbone
from devise_exp.datasets import ImageDataset
from devise_exp.errors import InputError
from devise_exp.storage import cache_root, checksum, locked, replacing

SHIPPED = "caltech101_efficientnet_lite0.npz"


@dataclass(frozen=True)
class FeatureBank:
    """features: (N, feature_dim), float16 or float32, row i for the dataset's row i."""

    features: np.ndarray
    key: str

    def __post_init__(self) -> None:
        if self.features.ndim != 2:
            raise ValueError(f"features of shape {self.features.shape}, not (rows, feature_dim)")


def feature_bank(
    dataset: ImageDataset,
    backbone: Backbone,
    batch_size: int = 64,
    num_workers: int = 2,
    dtype: str = "float16",
    device: str = "auto",
) -> FeatureBank:
    """The bank of `dataset` under `backbone`: opened from the cache, or made there first.

    The key is content: the pictures, the weights, the preprocessing and dtype, so that no setting
    can meet a bank of another. An extraction that was killed goes on where it was; a damaged entry
    is made again.
    """
    if dtype not in ("float16", "float32"):
        raise InputError(f"features.dtype={dtype}: choose float16 or float32")
    whole = isinstance(batch_size, int) and isinstance(num_workers, int)
    if not whole or batch_size < 1 or num_workers < 0:
        raise InputError(
            f"features.batch_size={batch_size}, features.num_workers={num_workers}: give a batch "
            "of 1 or more and 0 or more workers"
        )
    shipped = dataset.images is None
    origin = (
        dataset.fingerprint,
        backbone.fingerprint,
        dtype,
        "shipped" if shipped else "extracted",
    )
    key = hashlib.blake2b(repr(origin).encode(), digest_size=16).hexdigest()
    entry = cache_root() / "features" / key
    with locked(entry):
        features = _open(entry)
        if features is None:
            if shipped:
                _write(entry, _ready_made(dataset, backbone, dtype))
            else:
                _extract(entry, dataset, backbone, batch_size, num_workers, dtype, device)
            features = _open(entry)
    if features is None or features.shape != (len(dataset.rows), backbone.feature_dim):
        raise InputError(
            f"{entry}: the feature bank could not be read back: remove it and start again"
        )
    return FeatureBank(features, key)


def pack(bank: FeatureBank, dataset: ImageDataset, backbone: Backbone, path: Path) -> None:
    """Write the bank as one small file: uint8 per value, with each channel's minimum and step."""
    features = np.asarray(bank.features, dtype=np.float32)
    low = features.min(axis=0)
    step = np.maximum(features.max(axis=0) - low, 1e-12) / 255
    levels = np.rint((features - low) / step).astype(np.uint8)
    with replacing(path) as made, made.open("wb") as file:
        np.savez_compressed(
            file,
            levels=levels,
            low=low,
            step=step,
            dataset=np.array(dataset.fingerprint),
            backbone=np.array(backbone.fingerprint),
        )


def unpack(path: Path) -> tuple[np.ndarray, str, str]:
    """(features (N, feature_dim) float32, dataset fingerprint, backbone fingerprint) of a packed
    bank.
    """
    with np.load(path, allow_pickle=False) as packed:
        features = packed["levels"].astype(np.float32) * packed["step"] + packed["low"]
        return features, str(packed["dataset"]), str(packed["backbone"])


def _ready_made(dataset: ImageDataset, backbone: Backbone, dtype: str) -> np.ndarray:
    """Features that come with the data, or with this package, as `dtype`."""
    own = dataset.features
    if own is None:
        return _unpack_shipped(dataset, backbone).astype(dtype)
    if own.backbone != backbone.name:
        raise InputError(
            f"{dataset.name} comes with features of {own.backbone} instead of pictures, so none of "
            f"{backbone.name} can be made: choose backbone={own.backbone}"
        )
    with np.errstate(over="ignore"):  # said below
        features = own.read().astype(dtype)
    if not np.isfinite(features).all():
        advice = " (features.dtype=float32 holds values past 65,504)" if dtype == "float16" else ""
        raise InputError(
            f"{dataset.name}: its features have values that {dtype} cannot hold{advice}: check the "
            "file they come from"
        )
    return features


def _unpack_shipped(dataset: ImageDataset, backbone: Backbone) -> np.ndarray:
    with resources.as_file(resources.files("devise_exp") / "assets" / SHIPPED) as path:
        features, of_dataset, of_backbone = unpack(path)
    if (of_dataset, of_backbone) != (dataset.fingerprint, backbone.fingerprint):
        raise InputError(
            f"the pictures of {dataset.name} are not at hand, and features come with the "
            f"package for all of "
            f"caltech101 under efficientnet_lite0 only, not under {backbone.name}: give "
            f"data.root=FOLDER with "
            "the pictures (data.download=true fetches them there)"
        )
    return features


class _Pictures(Dataset):
    """Row index -> preprocessed picture, or the reason why it could not be read."""

    def __init__(self, dataset: ImageDataset, backbone: Backbone, start: int) -> None:
        assert dataset.images is not None
        self.images, self.rows = dataset.images, dataset.rows
        self.preprocess, self.start = backbone.preprocess, start

    def __len__(self) -> int:
        return len(self.rows) - self.start

    def __getitem__(self, index: int) -> torch.Tensor | str:
        try:
            image = self.images[self.start + index]
        except MemoryError:
            raise
        except Exception as error:  # decoders meet damaged bytes with nearly any exception
            # Text, for an error that leaves a loader's process brings its traceback along.
            return f"{self.rows[self.start + index]}: {' '.join(str(error).split())}"
        return self.preprocess(image)


def _batch(items: list[Any]) -> torch.Tensor | str:
    broken = [item for item in items if isinstance(item, str)]
    return broken[0] if broken else torch.stack(items)


def _extract(
    entry: Path,
    dataset: ImageDataset,
    backbone: Backbone,
    batch_size: int,
    num_workers: int,
    dtype: str,
    device: str,
) -> None:
    """Fill `entry`; the rows so far stay in a file beside it, so a killed extraction goes on."""
    shape = (len(dataset.rows), backbone.feature_dim)
    unfinished = entry.with_name(f"{entry.name}.unfinished")
    done = _resume(unfinished, backbone.feature_dim * np.dtype(dtype).itemsize)
    loader = DataLoader(
        _Pictures(dataset, backbone, done), batch_size, num_workers=num_workers, collate_fn=_batch
    )
    title = f"features of {dataset.name} under {backbone.name}"
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        unfinished.open("ab") as file,
    ):
        task = progress.add_task(title, total=shape[0], completed=done)
        for features in _forward(backbone, loader, device):
            with np.errstate(over="ignore"):  # said below
                values = features.numpy().astype(dtype)
            if not np.isfinite(values).all():
                advice = ", or set features.dtype=float32" if dtype == "float16" else ""
                raise InputError(
                    f"{backbone.name} gives values that {dtype} cannot hold, in rows {done} to "
                    f"{done + len(values) - 1}: check the weights{advice}"
                )
            file.write(values.tobytes())
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave rows of zeros either
            done += len(values)
            progress.update(task, completed=done)
    _write(entry, np.memmap(unfinished, dtype, mode="r", shape=shape))
    unfinished.unlink()


def _forward(backbone: Backbone, loader: DataLoader, device: str) -> Iterator[torch.Tensor]:
    """(B, feature_dim) float32 on the CPU, batch by batch, in row order."""
    place = _place(device)
    network = backbone.network.eval().to(device=place).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for images in loader:
            if isinstance(images, str):
                raise InputError(
                    f"a picture can no longer be read: {images}: start again to skip it"
                )
            images = images.to(place, memory_format=torch.channels_last)
            yield network(images).float().cpu()


def _place(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"features.device={device}: {reason}; auto takes what is there") from error
    return device


def _resume(unfinished: Path, row_bytes: int) -> int:
    """How many rows the file holds already; a row that a kill has cut short is dropped."""
    if not unfinished.is_file():
        return 0
    done = unfinished.stat().st_size // row_bytes
    os.truncate(unfinished, done * row_bytes)
    return done


def _write(entry: Path, rows: np.ndarray) -> None:
    with replacing(entry) as made:
        made.mkdir()
        np.save(made / "features.npy", rows)
        meta = {"checksum": checksum(made / "features.npy"), "shape": rows.shape}
        (made / "meta.json").write_text(json.dumps(meta))


def _open(entry: Path) -> np.ndarray | None:
    """The features, memory-mapped; None where there are none or the entry is damaged."""
    try:
        meta = json.loads((entry / "meta.json").read_text())
        if meta["checksum"] != checksum(entry / "features.npy"):
            return None
        features: np.ndarray = np.load(entry / "features.npy", mmap_mode="r")
        return features
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
