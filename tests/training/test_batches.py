"""Batches: an order that (seed, epoch) alone decide, and inputs of a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.folders import image_folder
from devise_exp.data.splits import Split, random_split
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.backbones.torchvision import torchvision_backbone
from devise_exp.methods.task import SelectionError
from devise_exp.training.batches import (
    SeededBatchSampler,
    image_inputs,
    ordered_batches,
)


@given(
    st.integers(0, 60), st.integers(1, 9), st.integers(0, 99), st.integers(1, 5), st.integers(0, 9)
)
def test_ranks_share_an_epoch(
    n: int, batch_size: int, seed: int, world_size: int, epoch: int
) -> None:
    shares = []
    for rank in range(world_size):
        order = SeededBatchSampler(n, batch_size, seed, rank, world_size)
        order.set_epoch(epoch)
        batches = list(order)
        assert [b.tolist() for b in batches] == [b.tolist() for b in order]  # it can be read again
        assert len(order) == len(batches)
        assert all(len(batch) == batch_size for batch in batches[:-1])
        # A row that would be alone joins the batch before it.
        assert all(0 < len(batch) <= batch_size + (batch_size > 1) for batch in batches)
        assert batch_size == 1 or n // world_size == 1 or all(len(batch) > 1 for batch in batches)
        shares.append([row for batch in batches for row in batch.tolist()])
    assert len({len(share) for share in shares}) == 1
    together = [row for share in shares for row in share]
    assert len(set(together)) == len(together)
    assert set(together) <= set(range(n))
    assert n - len(together) < world_size


def test_the_order_changes_with_the_epoch_and_the_seed_only() -> None:
    def rows(seed: int, epoch: int, world_size: int = 1) -> list[int]:
        parts = [SeededBatchSampler(50, 7, seed, rank, world_size) for rank in range(world_size)]
        for part in parts:
            part.set_epoch(epoch)
        return [
            int(row) for batches in zip(*parts, strict=True) for row in np.stack(batches, 1).flat
        ]

    assert rows(1, 1) == rows(1, 1)
    assert rows(1, 1) != rows(1, 2)
    assert rows(1, 1) != rows(2, 1)
    # Step by step, two ranks see what one process with batches of twice the size would see.
    assert rows(1, 1, world_size=2) == rows(1, 1)


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 1024, 1025, 2049, 3072, 5000])
def test_ranks_validate_in_as_many_batches_and_no_row_twice(n: int, world_size: int) -> None:
    shares = [ordered_batches(n, rank, world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    assert all(0 < len(batch) <= 1024 for share in shares for batch in share)
    rows = sorted(row for share in shares for batch in share for row in batch.tolist())
    times = world_size if n < world_size else 1
    assert rows == sorted([*range(n)] * times)


@pytest.fixture(scope="module")
def dataset(image_tree: Path) -> ImageDataset:
    return image_folder(image_tree)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return torchvision_backbone("resnet18", weights=None)


@pytest.fixture(scope="module")
def split(dataset: ImageDataset) -> Split:
    return random_split(labelled_rows(dataset))


def test_training_on_images_needs_images(
    dataset: ImageDataset, split: Split, backbone: Backbone
) -> None:
    with pytest.raises(InputError, match=r"are missing: give data\.root=FOLDER"):
        image_inputs(replace(dataset, images=None), split, backbone)


def test_images_are_guarded_as_features_are(
    dataset: ImageDataset, split: Split, backbone: Backbone
) -> None:
    for inputs in image_inputs(dataset, split, backbone):
        for rows in (split.train[:1], split.val[:1]):
            assert inputs(rows).shape == (1, 3, 224, 224)
        for rows in (split.test[:1], split.unseen_rows[:1], np.array([-1])):
            with pytest.raises(SelectionError):
                inputs(rows)
