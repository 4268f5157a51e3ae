"""split=folders: the parts as published, unseen classes chosen among classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.published_parts import counts_of, parts_of, published

from devise_exp.core.errors import InputError
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.published_split import folders_split
from devise_exp.data.splits import random_split


def test_seen_rows_keep_their_part_and_all_rows_of_unseen_classes_test() -> None:
    data = published({"train": 10, "val": 2, "test": 3})
    split = folders_split(data, n_unseen=2, seed=3)
    assert counts_of(split) == (30, 6, 9, 30)
    assert parts_of(data, split.train) == {"train"}
    assert parts_of(data, split.val) == {"val"}
    assert parts_of(data, split.test) == {"test"}
    assert parts_of(data, split.unseen_rows) == {"train", "val", "test"}
    assert split.remarks == ()
    # The same classes as of split=random, on other rows.
    drawn = random_split(data, n_unseen=2, seed=3)
    assert split.unseen.tolist() == drawn.unseen.tolist()
    assert split.fingerprint != drawn.fingerprint
    assert split.name == "folders2"


def test_unseen_classes_may_be_named_and_training_may_be_limited(tmp_path: Path) -> None:
    data = published({"train": 10, "val": 2, "test": 3})
    split = folders_split(data, unseen=["emu"], n_seen=3, train_per_class=4)
    assert [split.classes[c] for c in split.unseen] == ["emu"]
    assert counts_of(split) == (12, 6, 9, 15)
    (tmp_path / "unseen.txt").write_text("emu\n")
    listed = folders_split(data, unseen_file=str(tmp_path / "unseen.txt"), n_seen=3)
    assert listed.unseen_rows.tolist() == split.unseen_rows.tolist()
    fewer = folders_split(data, unseen=["emu"], n_seen=3, train_per_class=2)
    assert set(fewer.train) < set(split.train)


def test_without_a_val_part_a_share_of_train_validates() -> None:
    data = published({"train": 10, "test": 3})
    split = folders_split(data, n_unseen=1, val_share=0.2)
    assert counts_of(split) == (32, 8, 12, 13)
    assert parts_of(data, split.val) == {"train"}
    assert "no val images of the seen classes were published, so 20%" in split.remarks[0]
    again = folders_split(data, n_unseen=1, val_share=0.2)
    assert again.fingerprint == split.fingerprint


def test_a_class_without_val_images_validates_with_its_own() -> None:
    data = published({"train": 10, "val": 2, "test": 3}, without=(("ant", "val"),))
    split = folders_split(data, unseen=["emu"])
    assert counts_of(split) == (39, 7, 12, 15)
    assert "no val images of ant were published" in split.remarks[0]


def test_without_a_test_part_the_val_part_tests() -> None:
    data = published({"train": 10, "val": 5})
    split = folders_split(data, unseen=["emu"])
    assert counts_of(split) == (36, 4, 20, 15)
    assert parts_of(data, split.test) == {"val"}
    assert "the val part tests" in split.remarks[0]


@pytest.mark.parametrize(
    ("without", "options", "line"),
    [
        ((("ant", "train"), ("bee", "train")), {"unseen": ["emu"]},
         "no train images of ant, bee: name them in split.unseen"),
        ((("ant", "test"),), {"unseen": ["emu"]}, "no test images of ant: name them"),
        ((), {"unseen": ["emu"], "n_unseen": 1}, "give one of them"),
        ((), {"unseen": ["okapi"]}, "no class okapi"),
        ((), {"n_unseen": 4}, "n_unseen=4 of 5 classes"),
        ((), {"val_share": 0.0}, "val_share=0.0: give a share"),
        ((), {"train_per_class": 0}, "train_per_class=0: give"),
    ],
)  # fmt: skip
def test_what_cannot_be_split(
    without: tuple[tuple[str, str], ...], options: dict[str, Any], line: str
) -> None:
    data = published({"train": 4, "val": 2, "test": 2}, without)
    with pytest.raises(InputError, match=line):
        folders_split(data, **options)


def test_a_class_that_only_tests_may_be_unseen() -> None:
    data = published({"train": 4, "val": 2, "test": 2}, (("emu", "train"), ("emu", "val")))
    assert counts_of(folders_split(data, unseen=["emu"])) == (16, 8, 8, 2)


def test_data_without_parts_say_so() -> None:
    data = published({"train": 4})
    plain = LabelledRows(classes=data.classes, labels=data.labels, rows=data.rows)
    with pytest.raises(InputError, match="without published parts: choose split=random"):
        folders_split(plain)
