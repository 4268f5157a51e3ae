"""Files of the feature bank: finished entries, and the rows of an unfinished one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from devise_exp.core.files import atomic_path, checksum


def write_entry(entry: Path, features: np.ndarray, made_by: str) -> None:
    """Write a finished bank.

    Args:
        entry: The folder that appears when all is written.
        features: (N, feature_dim).
        made_by: Note of what made the features.
    """
    with atomic_path(entry) as folder:
        folder.mkdir()
        np.save(folder / "features.npy", features)
        meta = {
            "checksum": checksum(folder / "features.npy"),
            "shape": features.shape,
            "made_by": made_by,
        }
        (folder / "meta.json").write_text(json.dumps(meta))


def read_entry(entry: Path) -> np.ndarray | None:
    """Open a finished bank.

    Args:
        entry: Its folder.

    Returns:
        (N, feature_dim), memory-mapped; None if there is no bank or it is damaged.
    """
    try:
        meta = json.loads((entry / "meta.json").read_text())
        if meta["checksum"] != checksum(entry / "features.npy"):
            return None
        features: np.ndarray = np.load(entry / "features.npy", mmap_mode="r")
        return features
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


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
