"""Files of the feature bank: finished entries, and the rows of an unfinished one."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import IO

import numpy as np

from devise_exp.core.array_files import load_array
from devise_exp.core.files import atomic_path, checksum
from devise_exp.core.row_shards import Rows, RowShards

ROWS_OF_A_SHARD = 1 << 18  # of 1,280 float16 features, 640 MiB; fewer rows are one file
MAX_WAITING = 8  # batches that a slow disk is behind


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


@contextmanager
def writing_behind(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Append rows to a file in a thread, each batch to the disk itself.

    Args:
        path: The file.

    Yields:
        A function that takes a batch of rows, and raises what happened to one before. When the
        context ends, for whatever reason, all batches have been written.
    """
    waiting: deque[Future[None]] = deque()
    failed = False
    with path.open("ab") as file, ThreadPoolExecutor(1) as writer:

        def append(rows: bytes) -> None:
            nonlocal failed
            if failed:
                return  # rows would follow others than their own
            failed = True
            file.write(rows)
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave rows of zeros either
            failed = False

        def write(rows: bytes) -> None:
            waiting.append(writer.submit(append, rows))
            if len(waiting) > MAX_WAITING:
                waiting.popleft().result()

        yield write
        for batch in waiting:
            batch.result()


def shard_path(unfinished: Path, first_row: int, *, batch_size: int, rank: int, ranks: int) -> Path:
    """Name the file of one of several processes that extract the batches of a bank in turn.

    Args:
        unfinished: The file of the rows so far.
        first_row: First row that is missing there.
        batch_size: Rows of a batch.
        rank: Number of the process.
        ranks: Number of processes.

    Returns:
        A file beside `unfinished`.
    """
    return unfinished.with_name(f"{unfinished.name}-{first_row}-{batch_size}-{rank}-{ranks}")


def resume_rows(unfinished: Path, n: int, row_bytes: int, batch_size: int) -> int:
    """Join the shards of an unfinished bank, and cut it to whole batches.

    A row's bits depend on its batch. Shards that begin at another row are of no use.

    Args:
        unfinished: The file of the rows so far.
        n: Rows of the finished bank.
        row_bytes: Bytes of one row.
        batch_size: Rows of a batch.

    Returns:
        The number of rows that the file keeps; 0 if there is no file.
    """
    _join_shards(unfinished, row_bytes)
    if not unfinished.is_file():
        return 0
    done = min(n, unfinished.stat().st_size // row_bytes)
    if done < n:
        done -= done % batch_size
    os.truncate(unfinished, done * row_bytes)
    return done


def _numbers(unfinished: Path, shard: Path) -> tuple[int, int, int, int]:
    """First row, batch size, rank and number of ranks of a shard, by its name."""
    start, batch_size, rank, ranks = shard.name.removeprefix(f"{unfinished.name}-").split("-")
    return int(start), int(batch_size), int(rank), int(ranks)


def _join_shards(unfinished: Path, row_bytes: int) -> None:
    """Append the batches of all shards in turn, up to the first that is missing or not whole."""
    shards = sorted(unfinished.parent.glob(f"{unfinished.name}-*"))
    if not shards:
        return
    with unfinished.open("ab") as file, ExitStack() as opened:
        first_row, turns, size = file.tell() // row_bytes, 1, 0
        files: dict[int, IO[bytes]] = {}
        for shard in sorted(shards, key=lambda path: _numbers(unfinished, path)[2]):  # by rank
            start, batch_size, rank, ranks = _numbers(unfinished, shard)
            if start != first_row:
                continue
            if not files:
                turns, size = ranks, batch_size * row_bytes
            if (turns, size) == (ranks, batch_size * row_bytes):  # else batches do not alternate
                files[rank] = opened.enter_context(shard.open("rb"))
        for turn in count():
            rows = files[turn % turns].read(size) if turn % turns in files else b""
            file.write(rows)
            if not rows or len(rows) < size:
                break
        file.flush()
        os.fsync(file.fileno())
    for shard in shards:
        shard.unlink()
