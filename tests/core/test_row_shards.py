"""Rows in several files as one array, held to numpy's own indexing of the joined array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core import row_shards
from devise_exp.core.row_shards import RowShards, map_rows


def shards_of(sizes: list[int], folder: Path | None = None) -> tuple[RowShards, np.ndarray]:
    """Shards of these sizes, memory-mapped if a folder is given, and the joined array."""
    whole = np.arange(3 * sum(sizes), dtype=np.float16).reshape(-1, 3)
    parts = np.split(whole, np.cumsum(sizes)[:-1])
    if folder is not None:
        for i, part in enumerate(parts):
            np.save(folder / f"{i}.npy", part)
        parts = [np.load(folder / f"{i}.npy", mmap_mode="r") for i in range(len(parts))]
    return RowShards(parts), whole


SIZES = st.lists(st.integers(0, 7), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 0)
BOUND = st.none() | st.integers(-50, 50)


@given(sizes=SIZES, data=st.data())
def test_rows_are_chosen_as_numpy_chooses_them(sizes: list[int], data: st.DataObject) -> None:
    shards, whole = shards_of(sizes)
    n = len(whole)
    step = data.draw(st.none() | st.sampled_from([-7, -2, -1, 1, 2, 3]))
    chosen = slice(data.draw(BOUND), data.draw(BOUND), step)
    numbers = data.draw(st.lists(st.integers(-n, n - 1), max_size=20))
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    number = data.draw(st.integers(-n, n - 1))
    arrays = (np.array(numbers, dtype=np.int64), np.array(numbers, dtype=np.int8))
    for rows in (chosen, numbers, *arrays, mask, number, slice(None)):
        taken = shards[rows]
        np.testing.assert_array_equal(taken, whole[rows])
        assert taken.dtype == whole.dtype
    assert (shards.shape, shards.ndim, len(shards)) == (whole.shape, whole.ndim, n)
    assert shards.nbytes == whole.nbytes
    np.testing.assert_array_equal(np.asarray(shards), whole)
    assert np.asarray(shards, dtype=np.float32).dtype == np.float32


def test_numbers_may_be_of_a_type_that_the_number_of_rows_is_too_large_for() -> None:
    shards, whole = shards_of([200, 200])
    for numbers in (np.array([255, 0], dtype=np.uint8), np.array([-1, -128, 5], dtype=np.int8)):
        np.testing.assert_array_equal(shards[numbers], whole[numbers])


def test_every_slice_about_the_borders_of_mapped_files_is_right(tmp_path: Path) -> None:
    shards, whole = shards_of([3, 0, 4, 1], tmp_path)
    for start in range(-9, 10):
        for stop in range(-9, 10):
            np.testing.assert_array_equal(shards[start:stop], whole[start:stop])
    assert isinstance(shards[3:6], np.memmap)  # rows of one file are not copied


@pytest.mark.parametrize(
    "rows",
    [8, -9, [0, 8], [-9], [0.5], np.ones((2, 2), dtype=int), np.ones(7, dtype=bool), None, (0, 1)],
    ids=str,
)
def test_rows_that_are_not_there_are_refused(rows: object) -> None:
    shards, _ = shards_of([3, 0, 4, 1])
    with pytest.raises(IndexError, match=r"row|mask"):
        shards[rows]


def test_shards_of_two_widths_or_types_are_refused() -> None:
    for other in (np.zeros((2, 4)), np.zeros((2, 3), dtype=np.float32)):
        with pytest.raises(ValueError, match="2 kinds"):
            RowShards([np.zeros((2, 3)), other])
    with pytest.raises(ValueError, match="only as a copy"):
        np.array(shards_of([2, 2])[0], copy=False)


@pytest.mark.parametrize("at_once", [1, 3, 8, 100])
def test_a_function_of_rows_may_see_a_block_at_a_time(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_shards, "ROWS_AT_ONCE", at_once)
    shards, whole = shards_of([3, 0, 4, 1])
    ids = np.array([7, 0, 0, 3, 2, 6, 5, 1])
    seen: list[int] = []

    def doubled(rows: np.ndarray) -> np.ndarray:
        seen.append(len(rows))
        return rows[:, :2] * 2

    np.testing.assert_array_equal(map_rows(doubled, shards, ids), whole[ids][:, :2] * 2)
    assert max(seen) == min(at_once, len(ids))
    assert map_rows(doubled, shards, ids[:0]).shape == (0, 2)
