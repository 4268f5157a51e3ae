"""Files of the feature bank: killed, cut short, damaged."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.banks import ROW_BYTES, bank_of, killed_extraction, left_in, opened

from devise_exp.core.row_shards import RowShards
from devise_exp.data.dataset import ImageDataset
from devise_exp.features import bank_files
from devise_exp.features.bank_files import resume_rows, shard_path, writing_behind


@pytest.mark.parametrize("torn", [0, ROW_BYTES - 5, 3 * ROW_BYTES + 5])
def test_a_killed_extraction_goes_on_where_it_was(
    torn: int,
    dataset: ImageDataset,
    watched: ImageDataset,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the kill came amid a row or a batch, which leaves some bytes of it."""
    unfinished = killed_extraction(dataset, 43, cache, tmp_path / "killed")
    assert left_in(cache) == [unfinished.name]
    with unfinished.open("ab") as file:
        file.write(b"\xff" * torn)
    resumed = bank_of(watched)
    assert opened(watched) == list(range(40, 80))
    assert left_in(cache) == [resumed.key]
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "other"))
    whole = bank_of(watched)
    assert whole.key == resumed.key
    assert np.array_equal(whole.features, resumed.features)


def test_a_kill_after_the_last_row_costs_no_image(watched: ImageDataset, cache: Path) -> None:
    bank = bank_of(watched)
    (cache / f"{bank.key}.unfinished").write_bytes(np.asarray(bank.features).tobytes())
    shutil.rmtree(cache / bank.key)
    again = bank_of(watched)
    assert np.array_equal(again.features, np.asarray(bank.features))
    assert opened(watched) == list(range(80))
    assert left_in(cache) == [bank.key]


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda entry: os.truncate(entry / "features.npy", 500),
    "flipped value": lambda entry: flip(entry / "features.npy", -1),
    "flipped header": lambda entry: flip(entry / "features.npy", 20),
    "no features": lambda entry: (entry / "features.npy").unlink(),
    "no meta": lambda entry: (entry / "meta.json").unlink(),
    "torn meta": lambda entry: os.truncate(entry / "meta.json", 9),
    "other meta": lambda entry: (entry / "meta.json").write_text("[]"),
    "a file": lambda entry: (shutil.rmtree(entry), entry.write_text("")),
    "empty": lambda entry: (shutil.rmtree(entry), entry.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_made_again(damage: str, dataset: ImageDataset, cache: Path) -> None:
    bank = bank_of(dataset)
    expected = np.array(bank.features)
    DAMAGE[damage](cache / bank.key)
    again = bank_of(dataset)
    assert np.array_equal(again.features, expected)
    assert left_in(cache) == [bank.key]


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_files, "ROWS_OF_A_SHARD", 30)


def test_a_bank_in_shards_has_the_bytes_and_the_key_of_one_file(
    dataset: ImageDataset, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = bank_of(dataset)
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(bank_files, "ROWS_OF_A_SHARD", 30)
    sharded = bank_of(dataset)
    assert sharded.key == whole.key
    files = sorted((tmp_path / "other/features" / whole.key).glob("*.npy"))
    assert [len(np.load(file)) for file in files] == [30, 30, 20]
    assert isinstance(sharded.features, RowShards)
    assert np.asarray(sharded.features).tobytes() == np.asarray(whole.features).tobytes()
    monkeypatch.setattr(bank_files, "ROWS_OF_A_SHARD", 1 << 18)
    again = bank_of(dataset)  # what was written in other sizes is read as it is
    assert isinstance(again.features, RowShards)
    monkeypatch.setenv("DEVISE_CACHE", str(cache.parent))
    monkeypatch.setattr(bank_files, "ROWS_OF_A_SHARD", 30)
    assert isinstance(bank_of(dataset).features, np.memmap)  # one file, of before


SHARD_DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped value": lambda entry: flip(entry / "features.00001.npy", -1),
    "truncated": lambda entry: os.truncate(entry / "features.00002.npy", 300),
    "no shard": lambda entry: (entry / "features.00000.npy").unlink(),
    "fewer shards": lambda entry: (entry / "meta.json").write_text(
        (entry / "meta.json").read_text().replace('"shards": [', '"shards": [], "s": [')
    ),
    "other shape": lambda entry: (entry / "meta.json").write_text(
        (entry / "meta.json").read_text().replace("[80, ", "[79, ")
    ),
}


@pytest.mark.parametrize("damage", SHARD_DAMAGE)
@pytest.mark.usefixtures("small_shards")
def test_damaged_shards_are_made_again(damage: str, dataset: ImageDataset, cache: Path) -> None:
    bank = bank_of(dataset)
    expected = np.array(bank.features)
    before = (cache / bank.key / "meta.json").read_text()
    SHARD_DAMAGE[damage](cache / bank.key)
    again = bank_of(dataset)
    assert np.array_equal(np.asarray(again.features), expected)
    assert (cache / bank.key / "meta.json").read_text() == before
    assert left_in(cache) == [bank.key]


def test_nothing_is_written_after_a_batch_that_could_not_be(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(OSError, match="too large"), writing_behind(path) as write:  # noqa: PT012
            write(b"1" * 100)
            resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
            write(b"2" * 100)
            while path.stat().st_size < 150:
                time.sleep(0.01)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            write(b"3" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert b"3" not in path.read_bytes()


def test_shards_of_other_batches_than_those_of_the_first_rank_are_left_out(tmp_path: Path) -> None:
    unfinished = tmp_path / "bank.unfinished"
    for rank, size in enumerate((2, 4)):
        path = shard_path(unfinished, 0, batch_size=size, rank=rank, ranks=2)
        path.write_bytes(bytes([rank]) * 4)
    assert resume_rows(unfinished, 8, row_bytes=1, batch_size=2) == 2
    assert unfinished.read_bytes() == bytes([0, 0])
