"""split=base_to_new: half the classes by name with a few shots each, official test rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.published_parts import CLASSES, counts_of, parts_of, published

from devise_exp.core.errors import InputError
from devise_exp.data.base_to_new import base_to_new_split
from devise_exp.data.copies import split_images
from devise_exp.data.published_split import folders_split


def test_the_first_half_by_name_rounded_up_is_base() -> None:
    """Hand-worked: of ant, bee, cat, dog, emu three are base, two are new."""
    data = published({"train": 20, "val": 6, "test": 3})
    split = base_to_new_split(data, seed=1)
    assert [split.classes[c] for c in split.seen] == ["ant", "bee", "cat"]
    assert [split.classes[c] for c in split.unseen] == ["dog", "emu"]
    assert counts_of(split) == (3 * 16, 3 * 4, 3 * 3, 2 * 3)
    assert np.bincount(data.labels[split.train]).tolist() == [16, 16, 16]
    for rows, part in ((split.train, "train"), (split.val, "val"), (split.test, "test")):
        assert parts_of(data, rows) == {part}
    assert parts_of(data, split.unseen_rows) == {"test"}
    assert split.name == "base_to_new16"


def test_the_seed_draws_the_shots_and_nothing_else() -> None:
    data = published({"train": 20, "val": 6, "test": 3})
    first, same, other = (base_to_new_split(data, shots=4, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert set(first.train) != set(other.train)
    assert first.test.tolist() == other.test.tolist()


def test_without_a_val_part_train_images_that_are_left_validate() -> None:
    data = published({"train": 18, "test": 3})
    split = base_to_new_split(data)
    assert counts_of(split) == (48, 6, 9, 6)
    few = base_to_new_split(published({"train": 3, "test": 1}))
    assert counts_of(few) == (6, 3, 3, 2)


def test_classes_with_fewer_images_than_shots_are_said() -> None:
    data = published({"train": 14, "val": 6})  # without a test part val tests
    split = base_to_new_split(data)
    assert np.bincount(data.labels[split.train]).tolist() == [13, 13, 13]
    assert split.remarks[-1] == (
        "split=base_to_new: 3 of 3 base classes have fewer than 16 train images that are no copies,"
        " the smallest 14; in 3 of 3 base classes no other image is left to validate, so one of "
        "the shots validates and does not train: split.shots=13 gives all of them as many"
    )
    assert len(base_to_new_split(data, shots=13).remarks) == 1
    assert len(base_to_new_split(data, shots=14).remarks) == 2
    mixed = published({"train": 16, "val": 2, "test": 1}, without=(("bee", "val"),))
    (line,) = base_to_new_split(mixed).remarks
    assert line.startswith("split=base_to_new: in 1 of 3 base classes no other image is left")
    with_val = base_to_new_split(published({"train": 14, "val": 2, "test": 1}))
    assert counts_of(with_val)[:2] == (42, 6)
    assert "the smallest 14: split.shots=14 gives" in with_val.remarks[0]
    assert base_to_new_split(published({"train": 17, "test": 1})).remarks == ()


def test_new_classes_by_name() -> None:
    split = base_to_new_split(published({"train": 20, "test": 3}), unseen=["ant", "cat"])
    assert [split.classes[c] for c in split.unseen] == ["ant", "cat"]


def test_shots_are_no_copies_of_each_other_or_of_tested_images() -> None:
    data = published({"train": 6, "val": 2, "test": 2})
    contents = [row.rsplit("/", 1)[1] if "/test/0" in row else row for row in data.rows]
    # The first two train images of a class are one image, the third is its first test image.
    for name in CLASSES:
        for i, content in enumerate((f"{name} twice", f"{name} twice", f"{name} tested")):
            contents[data.rows.index(f"{name}/train/{i}.png")] = content
        contents[data.rows.index(f"{name}/test/0.png")] = f"{name} tested"
    split = split_images(replace(data, contents=contents), base_to_new_split).split
    assert counts_of(split) == (3 * 4, 3 * 2, 3 * 2, 2 * 2)


def test_data_without_parts_are_dealt_when_that_is_asked_for() -> None:
    data = replace(published({"train": 40}), parts=None)
    with pytest.raises(InputError, match=r"split=base_to_new: .*; or .*split.test_share=0.3$"):
        base_to_new_split(data)
    split = base_to_new_split(data, test_share=0.3)
    assert counts_of(split) == (48, 12, 36, 24)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"shots": 0}, "split.shots=0: give a whole number"),
        ({"val_shots": 0}, "split.val_shots=0: give a whole number"),
        ({"test_share": 0.3}, "come with a test part"),
        ({"unseen": ["llama"]}, "no class llama"),
    ],
)
def test_wrong_options_are_one_line(options: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        base_to_new_split(published({"train": 5, "test": 2}), **options)


def test_a_class_without_test_images_is_named() -> None:
    data = published({"train": 5, "test": 2}, without=(("emu", "test"),))
    with pytest.raises(InputError, match="no test images of emu: leave"):
        base_to_new_split(data)
    with pytest.raises(InputError, match="too few train images of ant"):
        base_to_new_split(published({"train": 1, "test": 2}))


def test_official_is_the_split_of_folders_under_its_name() -> None:
    data = published({"train": 10, "val": 2, "test": 3})
    official = folders_split(data, n_unseen=2, seed=3, name="official")
    assert official.name == "official2"
    assert official.fingerprint == folders_split(data, n_unseen=2, seed=3).fingerprint
    with pytest.raises(InputError, match=r"^split=official: these data come without published"):
        folders_split(replace(data, parts=None), name="official")
