"""Rows and seen classes are dealt by seed and name alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from helpers.splits import data_of, datas, parts, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.dealing import class_rng
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import named_split, random_split


@pytest.fixture(scope="module")
def animals() -> LabelledRows:
    return data_of({"cat": 30, "dog": 50, "okapi": 20, "otter": 10, "yak": 40}, left_out=3)


def test_each_class_gives_its_share(animals: LabelledRows) -> None:
    split = named_split(animals, ["okapi"], val_share=0.1, test_share=0.2)
    counts = [
        Counter(animals.classes[label] for label in animals.labels[part])
        for part in (split.train, split.val, split.test)
    ]
    assert counts == [
        {"cat": 21, "dog": 35, "otter": 7, "yak": 28},
        {"cat": 3, "dog": 5, "otter": 1, "yak": 4},
        {"cat": 6, "dog": 10, "otter": 2, "yak": 8},
    ]
    assert (split.name, split.classes) == ("named", tuple(animals.classes))
    assert [animals.classes[c] for c in split.unseen] == ["okapi"]


def test_rows_are_dealt_at_random_not_by_name(animals: LabelledRows) -> None:
    test = sorted(parts(animals, named_split(animals, ["okapi"]))["test"])
    dogs = [int(row[4:7]) for row in test if row.startswith("dog")]
    assert dogs != list(range(dogs[0], dogs[0] + len(dogs)))
    assert max(dogs) - min(dogs) > 20


def test_the_dealing_of_a_class_is_its_own(animals: LabelledRows) -> None:
    """A further class, or another choice of unseen ones, leaves it as it was."""
    before = parts(animals, named_split(animals, ["okapi"]))
    more = data_of({"cat": 30, "bat": 12, "dog": 50, "okapi": 20, "otter": 10, "yak": 40})
    for after in (
        parts(more, named_split(more, ["okapi"])),
        parts(more, named_split(more, ["okapi", "yak"])),
    ):
        for part in ("train", "val", "test"):
            for name in ("cat", "dog", "otter"):
                of_class = {row for row in before[part] if row.startswith(name)}
                assert of_class == {row for row in after[part] if row.startswith(name)}


def test_seen_classes_need_three_images_unseen_ones_one() -> None:
    data = data_of({"cat": 5, "dog": 1, "emu": 2, "yak": 3}, left_out=5)
    with pytest.raises(InputError, match=r"test on in dog \(1\), emu \(2\): add images"):
        named_split(data, ["cat"])
    split = named_split(data, ["dog", "emu"])
    assert [len(split.train), len(split.val), len(split.test)] == [4, 2, 2]
    assert len(split.unseen_rows) == 3
    many = data_of({"cat": 5} | {f"c{i:02}": 1 for i in range(12)})
    with pytest.raises(InputError, match=r"c09 \(1\) and 2 more: add"):
        named_split(many, ["cat"])


@given(st.integers(0, 50))
@settings(max_examples=20)
def test_one_photograph_in_two_merged_classes_goes_to_one_part(seed: int) -> None:
    """As Caltech-101's Faces and Faces_easy, its crops: neither tests what the other trained."""
    names = [f"image_{i:04}.jpg" for i in range(12)]
    rows = [f"{c}/{name}" for c in ("Faces", "Faces_easy", "okapi") for name in names]
    labels = np.repeat([0, 0, 1, 2], [12, 12, 6, 6])
    data = LabelledRows(classes=["Faces", "okapi", "yak"], labels=labels, rows=rows)
    split = named_split(data, ["yak"], seed=seed)
    for part in (split.train, split.val, split.test):
        faces = [rows[row].split("/") for row in part if labels[row] == 0]
        assert {n for c, n in faces if c == "Faces"} == {n for c, n in faces if c == "Faces_easy"}
        assert faces


@settings(max_examples=30, deadline=None)
@given(datas, st.integers(0, 2**16), st.data())
def test_smaller_sets_lie_within_larger_ones(
    data: LabelledRows, seed: int, drawn: st.DataObject
) -> None:
    """Of classes and of training rows; nothing else changes, in whatever order the data come."""
    whole = random_split(data, seed=seed)
    before, part_of = parts(data, whole), {}
    for n in drawn.draw(st.lists(st.integers(2, len(whole.seen)), min_size=1, max_size=3)):
        for most in (1, 3, None):
            split = random_split(data, seed=seed, n_seen=n, train_per_class=most)
            other = shuffled(data, n)
            again = random_split(other, seed=seed, n_seen=n, train_per_class=most)
            part_of[n, most] = dealt = parts(data, split)
            assert (dealt, split.fingerprint) == (parts(other, again), again.fingerprint)
            seen = {split.classes[c] for c in split.seen}
            assert len(seen) == n
            assert {*split.classes} - seen == {whole.classes[c] for c in whole.unseen}
            assert dealt["unseen"] == before["unseen"]
            for part in ("val", "test"):
                assert dealt[part] == {row for row in before[part] if row.split("/")[0] in seen}
            counts = Counter(row.split("/")[0] for row in dealt["train"])
            whole_counts = Counter(row.split("/")[0] for row in before["train"])
            assert counts == {c: min(whole_counts[c], most or 99) for c in seen}
    for (n, most), dealt in part_of.items():
        for (m, more), larger in part_of.items():
            if n <= m and (most or 99) <= (more or 99):
                assert dealt["train"] <= larger["train"]


def test_all_seen_classes_are_the_same_as_no_limit(animals: LabelledRows) -> None:
    plain = named_split(animals, ["okapi"])
    for options in ({"n_seen": 4}, {"train_per_class": 35}, {"n_seen": 4, "train_per_class": 99}):
        split = named_split(animals, ["okapi"], **options)
        assert (split.fingerprint, split.classes) == (plain.fingerprint, plain.classes)
    assert plain.fingerprint == "d2332d77b05b1ac6"  # as it was before there were such limits


def test_classes_that_take_no_part_may_be_small() -> None:
    data = data_of({"cat": 5, "dog": 1, "emu": 4, "yak": 3})
    with pytest.raises(InputError, match=r"test on in dog \(1\)"):
        named_split(data, ["cat"])
    splits = []
    for seed in range(20):
        try:
            splits.append(named_split(data, ["cat"], seed=seed, n_seen=2))
        except InputError:
            continue  # the dog was drawn
    assert {split.classes for split in splits} == {("cat", "emu", "yak")}


@pytest.mark.parametrize("wrong", [0, 1, 5, -1, 2.0, "3", True])
def test_a_wrong_number_of_seen_classes(wrong: Any, animals: LabelledRows) -> None:
    with pytest.raises(
        InputError, match=rf"split\.n_seen={wrong}: give a whole number from 2 to 4"
    ):
        named_split(animals, ["okapi"], n_seen=wrong)


@given(st.integers(0, 2**80), st.text(max_size=6))
def test_the_stream_of_a_class_is_that_of_its_seed_and_name(seed: int, name: str) -> None:
    """The bits themselves: a quicker way to them must change no split."""
    digits = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=64).digest()[:8]
    expected = np.random.default_rng([seed, *digits]).permutation(50)
    np.testing.assert_array_equal(class_rng(seed, name).permutation(50), expected)


def test_leaving_classes_out_is_offered_only_if_classes_are_left() -> None:
    with pytest.raises(InputError, match=r"cat \(2\): add images .*subset.min_images=3"):
        random_split(data_of({"cat": 2, "dog": 9, "okapi": 9, "emu": 9}), seed=0, n_unseen=1)
    with pytest.raises(InputError, match=r"no copies\)$"):
        random_split(data_of({"cat": 1, "dog": 1, "okapi": 1, "emu": 1}), seed=0, n_unseen=1)
