"""The feature bank: every image through a frozen backbone, once, kept in the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir, file_lock, fingerprint
from devise_exp.core.row_shards import Rows
from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.bank_files import (
    read_entry,
    resume_rows,
    shard_path,
    write_entry,
    writing_behind,
)
from devise_exp.features.engines import Engine
from devise_exp.features.extraction import (
    ExtractionSettings,
    engine_and_precision,
    extraction,
    without_idle_fast,
)
from devise_exp.features.shipped import read_shipped

# (bank key, first missing row) -> a context at whose end other processes have written their shards.
OtherShards = Callable[[str, int], AbstractContextManager[None]]


@dataclass(frozen=True)
class FeatureBank:
    """Features of a dataset under a backbone.

    Attributes:
        features: (N, feature_dim) float16 or float32, row i for the dataset's row i; shards if
            there are many rows.
        key: Hash of all that decides the features.
    """

    features: Rows
    key: str

    def __post_init__(self) -> None:
        if self.features.ndim != 2:
            raise ValueError(f"features of shape {self.features.shape}, not (rows, feature_dim)")


def feature_bank(
    dataset: ImageDataset,
    backbone: Backbone,
    settings: ExtractionSettings | None = None,
    other_shards: OtherShards | None = None,
) -> FeatureBank:
    """Open the bank of a dataset under a backbone; if the cache has none, make it first.

    The key is made of content (images, weights, preprocessing, dtype, engine and exactness), so no
    settings can meet a bank of others. A killed extraction goes on where it was, with any number
    of processes; a damaged entry is made again.

    Args:
        dataset: The images, or features that come with the data.
        backbone: The network and its preprocessing.
        settings: How to extract; None: the defaults.
        other_shards: Lets other processes, with the same cache, extract their shards.

    Returns:
        The bank, memory-mapped.

    Raises:
        InputError: Images, the device or the engine are missing, or the dtype is too narrow.
    """
    settings = without_idle_fast(settings or ExtractionSettings(), dataset, backbone)
    key = _key(dataset, backbone, settings)
    entry = cache_dir() / "features" / key
    with file_lock(entry):
        features = read_entry(entry)
        if features is None:
            if dataset.images is None:
                write_entry(entry, _precomputed(dataset, backbone, settings.dtype), "ready-made")
            else:
                _extract(entry, dataset, backbone, settings, other_shards)
            features = read_entry(entry)
    if features is None or features.shape != (len(dataset.rows), backbone.feature_dim):
        raise InputError(
            f"{entry}: the feature bank could not be read back: remove it and start again"
        )
    return FeatureBank(features, key)


def write_shard(
    key: str,
    first_row: int,
    dataset: ImageDataset,
    backbone: Backbone,
    settings: ExtractionSettings,
) -> None:
    """Extract the shard of a process other than the first, to a file beside the bank.

    Args:
        key: The bank's key in the first process.
        first_row: First row of the bank that is still missing.
        dataset: The images.
        backbone: The network and its preprocessing.
        settings: How to extract, and which shard.

    Raises:
        InputError: Images, weights or engine differ from those of the first process.
    """
    settings = without_idle_fast(settings, dataset, backbone)
    if _key(dataset, backbone, settings) != key:
        raise InputError(
            "the images, the weights of the backbone or what runs it (OpenVINO or torch, with or "
            "without bfloat16) differ from those of the first process: give all nodes the same"
        )
    unfinished = _unfinished(cache_dir() / "features" / key)
    path = _shard(unfinished, first_row, settings)
    _write_rows(path, first_row, dataset, backbone, settings, show=lambda _: None)


def _key(dataset: ImageDataset, backbone: Backbone, settings: ExtractionSettings) -> str:
    """Hash of all that decides the features."""
    source = "shipped" if dataset.images is None else "extracted"
    parts = [dataset.fingerprint, backbone.fingerprint, settings.dtype, source]
    if dataset.images is not None:
        engine = engine_and_precision(settings, len(dataset.rows))
        parts += [part for part in engine if part not in ("torch", "float32")]
        parts += ["fast"] if settings.fast else []
    return fingerprint(repr(tuple(parts)))


def _precomputed(dataset: ImageDataset, backbone: Backbone, dtype: str) -> np.ndarray:
    """Features (N, feature_dim) that come with the data, or with this package."""
    published = dataset.features
    if published is None:
        return read_shipped(dataset, backbone).astype(dtype)
    if published.backbone != backbone.name:
        raise InputError(
            f"{dataset.name} comes with features of {published.backbone} instead of images, so "
            f"features of {backbone.name} cannot be made: choose backbone={published.backbone}"
        )
    with np.errstate(over="ignore"):  # reported below
        features = published.read().astype(dtype)
    if not np.isfinite(features).all():
        advice = " (features.dtype=float32 holds values past 65,504)" if dtype == "float16" else ""
        raise InputError(
            f"{dataset.name}: its features have values that {dtype} cannot hold{advice}: check the "
            "file they come from"
        )
    return features


def _extract(
    entry: Path,
    dataset: ImageDataset,
    backbone: Backbone,
    settings: ExtractionSettings,
    other_shards: OtherShards | None,
) -> None:
    """Fill `entry`; the rows so far stay in files beside it, so a killed extraction goes on."""
    n, dim, dtype = len(dataset.rows), backbone.feature_dim, np.dtype(settings.dtype)
    row_bytes = dim * dtype.itemsize
    unfinished = _unfinished(entry)
    done = resume_rows(unfinished, n, row_bytes, settings.images_at_once)
    title = f"features of {dataset.name} under {backbone.name}"
    name, precision = engine_and_precision(settings, n)
    if done < n:
        path, others = unfinished, other_shards if settings.world_size > 1 else None
        if others is not None:
            path = _shard(unfinished, done, settings)
        with (
            others(entry.name, done) if others is not None else nullcontext(),
            _show_progress(title, n, done) as show,
        ):
            engine = _write_rows(path, done, dataset, backbone, settings, show)
        name, precision = engine.name, engine.precision
        if resume_rows(unfinished, n, row_bytes, settings.images_at_once) < n:
            raise InputError(
                f"{unfinished}: rows of other processes are not there: set DEVISE_CACHE to a "
                "folder that all machines share"
            )
    features = np.memmap(unfinished, dtype, mode="r", shape=(n, dim))
    write_entry(entry, features, f"{name} {precision}{' fast' if settings.fast else ''}")
    unfinished.unlink()


def _unfinished(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.unfinished")


def _shard(unfinished: Path, first_row: int, settings: ExtractionSettings) -> Path:
    """The file for this process's share of the rows."""
    size, rank, ranks = settings.images_at_once, settings.rank, settings.world_size
    return shard_path(unfinished, first_row, batch_size=size, rank=rank, ranks=ranks)


def _write_rows(
    path: Path,
    first_row: int,
    dataset: ImageDataset,
    backbone: Backbone,
    settings: ExtractionSettings,
    show: Callable[[int], None],
) -> Engine:
    """Extract this process's batches from a row on, and append each to a file; `show` the rows."""
    n, size = len(dataset.rows), settings.images_at_once
    row = first_row + settings.rank * size
    with (
        extraction(dataset, backbone, settings, first_row) as (engine, batches),
        writing_behind(path) as write,
    ):
        for rows in batches:
            values = _features(rows, min(size, n - row), settings.dtype, backbone)
            _check_finite(values, row, backbone)
            write(rows)
            row += settings.world_size * size
            show(min(n, row))
    return engine


def _features(rows: bytes, n_images: int, dtype: str, backbone: Backbone) -> np.ndarray:
    """(n, feature_dim) features of a batch; InputError if the network gives another width."""
    values = np.frombuffer(rows, dtype)
    if values.size != n_images * backbone.feature_dim:
        raise InputError(
            f"{backbone.name}: the network gives {values.size / n_images:g} numbers for an "
            f"image, but its feature_dim is {backbone.feature_dim}: let both agree"
        )
    return values.reshape(n_images, backbone.feature_dim)


def _check_finite(values: np.ndarray, first: int, backbone: Backbone) -> None:
    """InputError if rows of the bank, from number `first` on, hold what their dtype cannot."""
    if np.isfinite(values).all():
        return
    advice = ", or set features.dtype=float32" if values.dtype == "float16" else ""
    raise InputError(
        f"{backbone.name} gives values that {values.dtype} cannot hold, in rows {first} to "
        f"{first + len(values) - 1}: check the weights{advice}"
    )


@contextmanager
def _show_progress(title: str, n: int, done: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows on stderr how many rows are done."""
    with progress("pace") as bar:
        task = bar.add_task(title, total=n, completed=done, pace="")
        started = time.perf_counter()

        def show(completed: int) -> None:
            pace = (completed - done) / (time.perf_counter() - started)
            bar.update(task, completed=completed, pace=f"{pace:.0f} images/s")

        yield show
