"""Groups of images, each on one side of every split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.published_parts import counts_of, published
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.copies import split_images
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.published_split import folders_split
from devise_exp.data.splits import Split, named_split, random_split

UNSEEN = partial(named_split, unseen=["emu"])


def grouped(n: int, group: Callable[[str, int], str | None]) -> LabelledRows:
    """n rows of each class, each of another image; `group` of class and number."""
    data = replace(published({"train": n}), parts=None)
    groups = [group(row.split("/")[0], int(row.rsplit("/", 1)[1][:-4])) for row in data.rows]
    return replace(data, contents=[*data.rows], groups=groups)


def sides(data: LabelledRows, split: Split) -> list[set[str]]:
    assert data.groups is not None
    parts = (split.train, split.val, split.test, split.unseen_rows)
    return [{str(data.groups[row]) for row in part if data.groups[row]} for part in parts]


def check_apart(data: LabelledRows, split: Split) -> None:
    groups = sides(data, split)
    for i, first in enumerate(groups):
        for second in groups[i + 1 :]:
            assert not first & second


def test_groups_within_classes_keep_the_shares() -> None:
    """Of 20 groups of 5 images a class 2 validate, 4 test, 14 train."""
    data = grouped(100, lambda name, i: f"{name} {i // 5}")
    split = split_images(data, UNSEEN).split
    check_apart(data, split)
    assert counts_of(split) == (4 * 70, 4 * 10, 4 * 20, 100)
    again, other = (split_images(data, partial(UNSEEN, seed=seed)).split for seed in (0, 1))
    assert again.fingerprint == split.fingerprint != other.fingerprint


def test_groups_of_many_classes() -> None:
    """A camera photographs every seen class; each is on one side, and each class on every side."""
    data = grouped(60, lambda name, i: f"camera {i // 3}" if name != "emu" else None)
    split = split_images(data, UNSEEN).split
    check_apart(data, split)
    for rows in (split.train, split.val, split.test):
        assert set(data.labels[rows]) == {0, 1, 2, 3}
    assert counts_of(split) == (4 * 42, 4 * 6, 4 * 12, 60)


def test_a_group_with_unseen_images_leaves_the_other_sides() -> None:
    data = grouped(20, lambda name, i: "both" if name == "emu" or i < 2 else f"{name} {i}")
    result = split_images(data, UNSEEN)
    check_apart(data, result.split)
    assert result.split.remarks == (
        "8 images take no part, as their group has images in a later part of the split",
    )
    assert sum(counts_of(result.split)) == 100 - 8
    every = grouped(20, lambda name, i: f"camera {i}")
    with pytest.raises(InputError, match=r"^data.group: every image of ant, bee, cat, dog is in"):
        split_images(every, UNSEEN)


def test_too_few_groups_are_named() -> None:
    data = grouped(20, lambda name, i: f"{name} {i % 2}")
    with pytest.raises(InputError, match="too few groups to train, validate and test on in ant"):
        split_images(data, UNSEEN)


def test_published_parts_with_groups() -> None:
    data = published({"train": 20, "test": 5})
    numbers = [int(row.rsplit("/", 1)[1][:-4]) for row in data.rows]
    groups = [
        f"{row.rsplit('/', 1)[0]} {number // 4}"
        for row, number in zip(data.rows, numbers, strict=True)
    ]
    data = replace(data, groups=groups, contents=[*data.rows])
    split = split_images(data, partial(folders_split, unseen=["emu"])).split
    check_apart(data, split)
    assert counts_of(split) == (4 * 16, 4 * 4, 4 * 5, 25)


def test_train_per_class_and_rows_without_a_group() -> None:
    data = grouped(30, lambda name, i: None if i % 3 else f"{name} {i // 6}")
    split = split_images(data, partial(UNSEEN, train_per_class=5)).split
    check_apart(data, split)
    assert np.bincount(data.labels[split.train]).tolist() == [5, 5, 5, 5]


@given(st.lists(st.integers(0, 30), min_size=100, max_size=100), st.integers(0, 5))
def test_no_group_is_on_two_sides_whatever_they_are(numbers: list[int], seed: int) -> None:
    data = replace(published({"train": 20}), parts=None)
    data = replace(data, contents=[*data.rows], groups=[f"g{n}" for n in numbers])
    try:
        split = split_images(data, partial(random_split, n_unseen=1, seed=seed)).split
    except InputError as error:
        line = str(error)
    else:
        check_apart(data, split)
        assert set(data.labels[split.train]) == set(split.seen.tolist())
        return
    assert "group" in line
