"""Files of the feature bank: finished entries, and the rows of an unfinished one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from devise_exp.core.array_files import load_array
from devise_exp.core.files import atomic_path, checksum
from devise_exp.core.row_shards import Rows, RowShards

ROWS_OF_A_SHARD = 1 << 18  # of 1,280 float16 features, 640 MiB; fewer rows are one file


def write_entry(entry: Path, features: Rows, made_by: str) -> None:
    """Write a finished bank: one file, or a file for every ROWS_OF_A_SHARD rows.

    Args:
        entry: The folder that appears when all is written.
        features: (N, feature_dim), of which a shard at a time is read.
        made_by: Note of what made the features.
    """
    with atomic_path(entry) as folder:
        folder.mkdir()
        meta: dict[str, object] = {"shape": features.shape, "made_by": made_by}
        if len(features) <= ROWS_OF_A_SHARD:
            np.save(folder / "features.npy", features[:])
            meta["checksum"] = checksum(folder / "features.npy")
        else:
            shards: list[str] = []
            for start in range(0, len(features), ROWS_OF_A_SHARD):
                path = folder / f"features.{len(shards):05}.npy"
                np.save(path, features[start : start + ROWS_OF_A_SHARD])
                shards.append(checksum(path))
            meta["shards"] = shards
        (folder / "meta.json").write_text(json.dumps(meta))


def read_entry(entry: Path) -> Rows | None:
    """Open a finished bank.

    Args:
        entry: Its folder.

    Returns:
        (N, feature_dim), memory-mapped; None if there is no bank or it is damaged.
    """
    try:
        meta = json.loads((entry / "meta.json").read_text())
        if "shards" not in meta:
            return _checked(entry / "features.npy", meta["checksum"])
        sums = enumerate(meta["shards"])
        shards = [_checked(entry / f"features.{i:05}.npy", value) for i, value in sums]
        return RowShards(shards) if list(RowShards(shards).shape) == meta["shape"] else None
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, IndexError):
        return None


def _checked(path: Path, expected: str) -> np.ndarray:
    """The array of a file, memory-mapped; ValueError if it is not what was written."""
    if checksum(path) != expected:
        raise ValueError(f"{path} is damaged")
    return load_array(path, mapped=True)


def resume_rows(unfinished: Path, n: int, row_bytes: int, batch_size: int) -> int:
    """Cut an unfinished file to whole batches, since a row's bits depend on its batch.

    Args:
        unfinished: The file of the rows so far.
        n: Rows of the finished bank.
        row_bytes: Bytes of one row.
        batch_size: Rows of a batch.

    Returns:
        The number of rows that the file keeps; 0 if there is no file.
    """
    if not unfinished.is_file():
        return 0
    done = min(n, unfinished.stat().st_size // row_bytes)
    if done < n:
        done -= done % batch_size
    os.truncate(unfinished, done * row_bytes)
    return done
