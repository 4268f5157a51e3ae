"""The feature bank: every picture through a frozen backbone, once, kept in the cache."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, cache_dir, checksum, file_lock, fingerprint
from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.extraction import ExtractionSettings, extraction, made_by
from devise_exp.features.shipped import unpack_shipped

# Sets other processes to the bank of a key, from a row on; each then gives its `share_of` it.
RemoteShards = Callable[[str, int], AbstractContextManager[Sequence[Iterator[bytes]]]]


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
    remote_shards: RemoteShards | None = None,
    **settings: Any,
) -> FeatureBank:
    """The bank of `dataset` under `backbone`: opened from the cache, or made there first, by
    several processes where there are `remote_shards`; settings: those of `Settings`.

    The key is content: pictures, weights, preprocessing, dtype, engine and exactness, so that no
    setting can meet a bank of another; its meta.json notes what ran the network. An extraction that
    was killed goes on where it was, with as many processes as there are now; a damaged entry
    is made again.
    """
    how = ExtractionSettings(**settings)
    key = _key(dataset, backbone, how)
    entry = cache_dir() / "features" / key
    with file_lock(entry):
        features = _open(entry)
        if features is None:
            if dataset.images is None:
                _write(entry, _ready_made(dataset, backbone, how.dtype), "ready-made")
            else:
                _extract(entry, dataset, backbone, how, remote_shards)
            features = _open(entry)
    if features is None or features.shape != (len(dataset.rows), backbone.feature_dim):
        raise InputError(
            f"{entry}: the feature bank could not be read back: remove it and start again"
        )
    return FeatureBank(features, key)


def share_of(
    key: str, start: int, dataset: ImageDataset, backbone: Backbone, **settings: Any
) -> Iterator[bytes]:
    """A helper's batches, as rows of the bank: those from row `start` on that are its own."""
    how = ExtractionSettings(**settings)
    if _key(dataset, backbone, how) != key:
        raise InputError(
            "the pictures, the weights of the backbone or what runs it (OpenVINO or torch, with "
            "or without bfloat16) are others here than in the first process: give all nodes the "
            "same"
        )
    return extraction(dataset, backbone, how, start)[1]


def _key(dataset: ImageDataset, backbone: Backbone, how: ExtractionSettings) -> str:
    way = "shipped" if dataset.images is None else "extracted"
    origin = [dataset.fingerprint, backbone.fingerprint, how.dtype, way]
    if dataset.images is not None:
        made = made_by(how, len(dataset.rows))
        origin += [part for part in made if part not in ("torch", "float32")]
        origin += ["fast"] if how.fast else []
    return fingerprint(repr(tuple(origin)))


def _ready_made(dataset: ImageDataset, backbone: Backbone, dtype: str) -> np.ndarray:
    """Features that come with the data, or with this package, as `dtype`."""
    own = dataset.features
    if own is None:
        return unpack_shipped(dataset, backbone).astype(dtype)
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


def _extract(
    entry: Path,
    dataset: ImageDataset,
    backbone: Backbone,
    how: ExtractionSettings,
    remote_shards: RemoteShards | None,
) -> None:
    """Fill `entry`; the rows so far stay in a file beside it, so a killed extraction goes on."""
    n, dim, dtype = len(dataset.rows), backbone.feature_dim, np.dtype(how.dtype)
    unfinished = entry.with_name(f"{entry.name}.unfinished")
    done = _resume(unfinished, n, dim * dtype.itemsize, how.batch_size)
    title = f"features of {dataset.name} under {backbone.name}"
    name, precision = made_by(how, n)
    with (
        remote_shards(entry.name, done)
        if remote_shards and done < n
        else nullcontext(()) as others,
        progress("pace") as bar,
        unfinished.open("ab") as file,
    ):
        task = bar.add_task(title, total=n, completed=done, pace="")
        before, started, turns = done, time.perf_counter(), cycle(others)
        if done < n:
            engine, own = extraction(dataset, backbone, how, done)
            name, precision, turns = engine.name, engine.precision, cycle([own, *others])
        while done < n:
            rows = next(next(turns))
            values = np.frombuffer(rows, dtype).reshape(-1, dim)
            _check_finite(values, done, backbone)
            file.write(rows)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave rows of zeros either
            done += len(values)
            pace = (done - before) / (time.perf_counter() - started)
            bar.update(task, completed=done, pace=f"{pace:.0f} pictures/s")
    _write(
        entry,
        np.memmap(unfinished, dtype, mode="r", shape=(n, dim)),
        f"{name} {precision}{' fast' if how.fast else ''}",
    )
    unfinished.unlink()


def _check_finite(values: np.ndarray, first: int, backbone: Backbone) -> None:
    """InputError where rows of the bank, from number `first` on, hold what their type cannot."""
    if np.isfinite(values).all():
        return
    advice = ", or set features.dtype=float32" if values.dtype == "float16" else ""
    raise InputError(
        f"{backbone.name} gives values that {values.dtype} cannot hold, in rows {first} to "
        f"{first + len(values) - 1}: check the weights{advice}"
    )


def _resume(unfinished: Path, n: int, row_bytes: int, batch_size: int) -> int:
    """How many of n rows the file holds already; those of a batch that a kill has cut short are
    dropped, since the bits of a row depend on the batch it is in.
    """
    if not unfinished.is_file():
        return 0
    done = min(n, unfinished.stat().st_size // row_bytes)
    if done < n:
        done -= done % batch_size
    os.truncate(unfinished, done * row_bytes)
    return done


def _write(entry: Path, rows: np.ndarray, by: str) -> None:
    with atomic_path(entry) as made:
        made.mkdir()
        np.save(made / "features.npy", rows)
        own = checksum(made / "features.npy")
        meta = {"checksum": own, "shape": rows.shape, "made_by": by}
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
