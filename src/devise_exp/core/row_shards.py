"""Rows in several files, read as one array: more of them than memory holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

ROWS_AT_ONCE = 1 << 14  # rows that are in memory at a time where all are read


class RowShards:
    """Arrays of rows, one after another, as one array of N rows; none is read as a whole.

    It is indexed as numpy is, along the rows: by a number, a slice, an array of numbers or a mask
    (N,). What it gives is an array: a view where all rows lie in one shard and follow one another,
    else a copy of these rows. `np.asarray` reads all of them.

    Args:
        shards: One or more arrays (n, ...) of one type and one shape but for the number of rows,
            usually memory-mapped.

    Example:
        >>> rows = RowShards([np.zeros((2, 3)), np.ones((4, 3))])
        >>> rows.shape, rows[[0, 5]].tolist()
        ((6, 3), [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    """

    def __init__(self, shards: Sequence[np.ndarray]) -> None:
        kinds = {(shard.dtype, shard.shape[1:]) for shard in shards}
        if len(kinds) != 1:
            raise ValueError(f"shards of {len(kinds)} kinds: give one type and one width")
        self.shards = tuple(shards)
        self.dtype: np.dtype[Any] = shards[0].dtype
        self._ends = np.cumsum([len(shard) for shard in shards])
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *shards[0].shape[1:])

    @property
    def ndim(self) -> int:
        """Number of dimensions, rows included."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return sum(shard.nbytes for shard in self.shards)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("rows of several shards are one array only as a copy")
        return np.concatenate(self.shards).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            return self._slice(rows)
        if isinstance(rows, tuple) or rows is None or rows is Ellipsis:
            raise IndexError("rows of shards are chosen by rows alone: index the result further")
        rows = np.asarray(rows)
        if rows.ndim == 0 and rows.dtype.kind in "iu":
            return self._take(rows[None])[0]
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise IndexError(f"a mask of shape {rows.shape} for {len(self)} rows")
            rows = np.flatnonzero(rows)
        if not rows.size:
            rows = rows.astype(np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise IndexError(f"rows by {rows.dtype} {rows.shape}: give numbers in one array")
        return self._take(rows)

    def _slice(self, rows: slice) -> np.ndarray:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self._take(np.arange(start, stop, step))
        parts = []
        first = 0
        for shard, end in zip(self.shards, self._ends.tolist(), strict=True):
            if max(start, first) < min(stop, end):
                parts.append(shard[max(start - first, 0) : stop - first])
            first = end
        if not parts:
            return self.shards[0][:0]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _take(self, rows: np.ndarray) -> np.ndarray:
        """A copy of rows (n,) by number, negative ones from the end on."""
        n = len(self)
        wrong = rows[(rows < -n) | (rows >= n)]
        if len(wrong):
            raise IndexError(f"row {wrong[0]} is out of bounds: there are {n} rows")
        rows = rows.astype(np.int64)
        rows[rows < 0] += n
        number = np.searchsorted(self._ends, rows, side="right")  # the shard of each
        taken = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for i in np.unique(number):
            of_shard = np.flatnonzero(number == i)
            first = self._ends[i] - len(self.shards[i])
            taken[of_shard] = self.shards[i][rows[of_shard] - first]
        return taken


Rows = np.ndarray | RowShards


class RowsByNumber(Protocol):
    """Whatever gives rows (n, ...) by their numbers (n,)."""

    def __getitem__(self, rows: np.ndarray, /) -> Any: ...


def map_rows(
    function: Callable[[np.ndarray], np.ndarray], rows: RowsByNumber, ids: np.ndarray
) -> np.ndarray:
    """Apply a function of rows to some rows without reading all of them at once.

    Args:
        function: (n, ...) rows to (n, ...) results, row by row.
        rows: (N, ...) rows, in memory or not.
        ids: (M,) numbers of rows.

    Returns:
        (M, ...) results in the order of `ids`.
    """
    if len(ids) <= ROWS_AT_ONCE:
        return function(np.asarray(rows[ids]))
    results = np.empty(0)
    for start in range(0, len(ids), ROWS_AT_ONCE):
        part = function(np.asarray(rows[ids[start : start + ROWS_AT_ONCE]]))
        if not start:
            results = np.empty((len(ids), *part.shape[1:]), part.dtype)
        results[start : start + len(part)] = part
    return results
