"""The feature bank: every image once, one bank for one content, by one process or several."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.banks import (
    FORK,
    ROW_BYTES,
    bank_of,
    killed_extraction,
    left_in,
    opened,
    small_backbone,
)

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.folders import image_folder
from devise_exp.data.subset import subset
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.bank import FeatureBank, OtherShards, write_shard
from devise_exp.features.extraction import ExtractionSettings


def test_the_bank_is_made_once(watched: ImageDataset, cache: Path) -> None:
    first = bank_of(watched)
    assert opened(watched) == list(range(80))
    assert left_in(cache) == [first.key]
    before = (cache / first.key / "features.npy").stat()
    for again in (bank_of(watched), bank_of(watched, batch_size=3, device="cpu")):
        assert again.key == first.key
        assert np.array_equal(again.features, first.features)
    assert opened(watched) == list(range(80))
    assert (cache / first.key / "features.npy").stat() == before


def test_other_content_is_another_bank(dataset: ImageDataset, cache: Path) -> None:
    backbone = small_backbone()
    finer = dataclasses.replace(backbone, preprocess=Preprocess(resize=30, crop=24))
    banks = [
        bank_of(dataset),
        bank_of(dataset, dtype="float32"),
        bank_of(dataset, small_backbone(seed=1)),
        bank_of(dataset, finer),
        bank_of(subset(dataset, limit_per_class=9)),
    ]
    assert left_in(cache) == sorted({bank.key for bank in banks})
    assert len({bank.key for bank in banks}) == 5
    assert bank_of(dataset, dataclasses.replace(backbone)).key == banks[0].key


def test_a_changed_image_is_another_bank(image_tree: Path, tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "images"
    shutil.copytree(image_tree, root)
    before = bank_of(image_folder(root))
    shutil.copy(root / "cat" / "01.png", root / "cat" / "00.png")
    after = bank_of(image_folder(root))
    assert before.key != after.key
    assert left_in(cache) == sorted({before.key, after.key})
    row = image_folder(root).rows.index("cat/00.png")
    assert np.array_equal(after.features[row], before.features[row + 1])
    assert not np.array_equal(after.features[row], before.features[row])


def test_a_bank_is_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"\(5,\)"):
        FeatureBank(np.zeros(5), "key")


def test_two_processes_make_one_bank(watched: ImageDataset, cache: Path) -> None:
    start, results = FORK.Barrier(2), FORK.Queue()

    def extract() -> None:
        start.wait(60)
        bank = bank_of(watched)
        results.put((bank.key, np.array(bank.features)))

    processes = [FORK.Process(target=extract) for _ in range(2)]
    for process in processes:
        process.start()
    (key, features), (other_key, other) = (results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(60)
    assert key == other_key
    assert np.array_equal(features, other)
    assert opened(watched) == list(range(80))
    assert left_in(cache) == [key]


def shards_of(
    dataset: ImageDataset, backbone: Backbone, world_size: int, **options: Any
) -> tuple[OtherShards, list[int]]:
    """Other processes, played by this one, and the rows that they were asked to start from."""
    first_rows: list[int] = []

    @contextmanager
    def other_shards(key: str, start: int) -> Iterator[None]:
        first_rows.append(start)
        for rank in range(1, world_size):
            settings = ExtractionSettings(rank=rank, world_size=world_size, **options)
            write_shard(key, start, dataset, backbone, settings)
        yield

    return other_shards, first_rows


@pytest.mark.parametrize("world_size", [2, 3, 5])
@pytest.mark.parametrize("batch_size", [8, 7, 33, 100])
def test_shared_batches_make_the_bank_of_one_process(
    world_size: int, batch_size: int, dataset: ImageDataset, cache: Path
) -> None:
    options = {"batch_size": batch_size, "num_workers": 0}
    alone = bank_of(dataset, **options)
    expected = (cache / alone.key / "features.npy").read_bytes()
    shutil.rmtree(cache / alone.key)
    other_shards, _ = shards_of(dataset, small_backbone(), world_size, **options)
    bank_of(dataset, other_shards=other_shards, world_size=world_size, **options)
    assert (cache / alone.key / "features.npy").read_bytes() == expected
    bank_of(dataset, other_shards=None, **options)  # and nobody is called if the bank is there


def test_every_image_is_opened_once_and_by_whose_turn_it_is(
    dataset: ImageDataset, watched: ImageDataset, cache: Path
) -> None:
    options = {"batch_size": 8, "num_workers": 0}
    other_shards, first_rows = shards_of(dataset, small_backbone(), 3, **options)
    bank = bank_of(watched, other_shards=other_shards, world_size=3, **options)
    assert opened(watched) == [row for start in (0, 24, 48, 72) for row in range(start, start + 8)]
    assert first_rows == [0]
    bank_of(watched, other_shards=other_shards, world_size=3, **options)
    assert first_rows == [0]
    assert left_in(cache) == [bank.key]


def test_an_extraction_goes_on_with_another_number_of_processes(
    dataset: ImageDataset, cache: Path, tmp_path: Path
) -> None:
    killed_extraction(dataset, 43, cache, tmp_path / "killed")
    other_shards, first_rows = shards_of(dataset, small_backbone(), 3, batch_size=8, num_workers=0)
    bank = bank_of(dataset, other_shards=other_shards, world_size=3)
    assert first_rows == [40]
    shared = np.array(bank.features)
    shutil.rmtree(cache / bank.key)
    assert np.array_equal(bank_of(dataset).features, shared)


@pytest.mark.parametrize(("kept", "done"), [(0, 8), (8, 32), (13, 32)])
def test_a_killed_extraction_of_several_processes_goes_on_where_all_had_come_to(
    kept: int, done: int, dataset: ImageDataset, cache: Path
) -> None:
    """Also with another number of processes; rows keep their bits."""
    options = {"batch_size": 8, "num_workers": 0}
    expected = np.array(bank_of(dataset).features)
    [key] = left_in(cache)

    class KilledError(Exception):
        pass

    @contextmanager
    def cut_off(bank_key: str, start: int) -> Iterator[None]:
        """Rank 1 is killed in the middle of a row; rank 0 and rank 2 have done more by then."""
        others, _ = shards_of(dataset, small_backbone(), 3, **options)
        with others(bank_key, start):
            yield
        [shard] = cache.glob("*-1-3")
        os.truncate(shard, kept * ROW_BYTES + 5)
        raise KilledError

    for go_on in (1, 2, 3):
        shutil.rmtree(cache / key)
        with pytest.raises(KilledError):
            bank_of(dataset, other_shards=cut_off, world_size=3)
        assert len(left_in(cache)) == 3  # a shard of each
        other_shards, first_rows = shards_of(dataset, small_backbone(), go_on, **options)
        bank = bank_of(dataset, other_shards=other_shards, world_size=go_on)
        assert np.array_equal(bank.features, expected)
        assert first_rows == ([done] if go_on > 1 else [])
        assert left_in(cache) == [key]


def test_shards_of_another_beginning_are_of_no_use(
    dataset: ImageDataset, cache: Path, tmp_path: Path
) -> None:
    unfinished = killed_extraction(dataset, 43, cache, tmp_path / "killed")
    expected = unfinished.read_bytes()
    unfinished.with_name(f"{unfinished.name}-0-8-0-2").write_bytes(b"\1" * 80 * ROW_BYTES)
    other_shards, first_rows = shards_of(dataset, small_backbone(), 2, batch_size=8, num_workers=0)
    bank = bank_of(dataset, other_shards=other_shards, world_size=2)
    assert first_rows == [40]
    assert np.array(bank.features)[:40].tobytes() == expected
    assert left_in(cache) == [bank.key]


def test_a_cache_that_machines_do_not_share_is_one_line(dataset: ImageDataset, cache: Path) -> None:
    @contextmanager
    def elsewhere(key: str, start: int) -> Iterator[None]:
        yield

    with pytest.raises(InputError, match="rows of other processes are not there: set DEVISE_CACHE"):
        bank_of(dataset, other_shards=elsewhere, world_size=2)


def test_a_process_with_other_weights_or_images_is_told_so(
    dataset: ImageDataset, cache: Path
) -> None:
    other_shards, _ = shards_of(dataset, small_backbone(seed=1), 2, batch_size=8, num_workers=0)
    with pytest.raises(InputError, match=r"what runs it \(OpenVINO or torch, .*\) differ from"):
        bank_of(dataset, other_shards=other_shards, world_size=2)
    assert left_in(cache) == []


def test_values_beyond_float16_ask_for_float32(dataset: ImageDataset, cache: Path) -> None:
    large = small_backbone(scale=1e6)
    with pytest.raises(InputError, match=r"float16 cannot hold, in rows 0 to 7: .*=float32"):
        bank_of(dataset, large)
    assert [name.partition(".")[2] for name in left_in(cache)] == ["unfinished"]
    bank = bank_of(dataset, large, dtype="float32")
    assert bank.features.max() > np.finfo(np.float16).max
    with pytest.raises(
        InputError, match=r"that float32 cannot hold, in rows 0 to 7: check the weights$"
    ):
        bank_of(dataset, small_backbone(scale=float("nan")), dtype="float32")


@pytest.mark.parametrize("factor", [0.5, 2, 7 / 8], ids=["half", "double", "no divisor"])
def test_a_network_of_another_width_than_feature_dim_is_one_line(
    dataset: ImageDataset, cache: Path, factor: float
) -> None:
    backbone = small_backbone()
    wrong = dataclasses.replace(backbone, feature_dim=int(backbone.feature_dim * factor))
    line = rf"gives {backbone.feature_dim} numbers for an image, but its feature_dim is \d+: let"
    with pytest.raises(InputError, match=line):
        bank_of(dataset, wrong)
    assert not list(cache.glob("*/features.npy"))
