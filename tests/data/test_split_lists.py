"""CoOp's split lists as tables, and the order of their numbers in split=base_to_new."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.listed_images import CLASSES, draw_flat
from helpers.published_parts import published

from devise_exp.core.errors import InputError
from devise_exp.data.base_to_new import base_to_new_split
from devise_exp.data.copies import split_images
from devise_exp.data.dataset import labelled_rows
from devise_exp.data.split_lists import class_order
from devise_exp.data.tables import image_table

ORDER = ("owl", "ant", "lion", "bee", "dog", "cat")  # by number


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images a class: four train, one validates, three test; as json.dump writes them."""
    folder = tmp_path_factory.mktemp("coop")
    content: dict[str, list[Any]] = {"train": [], "val": [], "test": []}
    for i, (path, name) in enumerate(draw_flat(folder / "images", 8)):
        k = i // len(CLASSES)
        part = "train" if k < 4 else "val" if k == 4 else "test"
        content[part].append([path, ORDER.index(name), name])
    (folder / "split_zhou_Small.json").write_text(json.dumps(content, indent=4))
    (folder / "one_line.json").write_text(json.dumps(content, separators=(",", ":")))
    return folder / "split_zhou_Small.json"


def test_a_split_list_is_a_table_with_parts(listing: Path) -> None:
    data = image_table(listing, root=listing.parent / "images", parts="keep")
    assert data.classes == CLASSES
    assert Counter(data.parts or ()) == {"train": 24, "val": 6, "test": 18}
    assert len(data.rows) == 48
    assert not data.skipped
    one_line = image_table(listing.parent / "one_line.json", listing.parent / "images")
    assert one_line.rows == data.rows


def test_its_numbers_say_which_half_is_new(listing: Path) -> None:
    """Hand-worked: of owl, ant, lion, bee, dog, cat the last three are new."""
    data = image_table(listing, root=listing.parent / "images", parts="keep")
    assert class_order(listing, "split.file") == list(ORDER)
    labelled = labelled_rows(data, data.classes, data.labels)
    split = split_images(
        labelled, lambda rows: base_to_new_split(rows, shots=2, file=str(listing))
    ).split
    assert [split.classes[c] for c in split.unseen] == ["bee", "cat", "dog"]
    assert [split.classes[c] for c in split.seen] == ["ant", "lion", "owl"]
    assert (len(split.train), len(split.val), len(split.test)) == (6, 3, 9)
    assert len(split.unseen_rows) == 9
    by_name = base_to_new_split(labelled, shots=2)
    assert [by_name.classes[c] for c in by_name.unseen] == ["dog", "lion", "owl"]


def test_what_is_wrong_with_a_list_is_one_line(listing: Path, tmp_path: Path) -> None:
    data = published({"train": 20, "test": 3})
    refused = [
        ({"train": [["a", 0, "ant"], ["b", 1, "ant"]]}, "class ant has the numbers 0 and 1"),
        ({"train": [["a", 0]]}, "lists no image"),
        ({"train": [["a", 0, "ant"]], "meta": []}, "meta is no list of a part"),
        ([1], "is no split list"),
        ({"train": [["a", 0, "ant"], ["b", 1, "bee"]]}, "3 of the 5 classes are not listed there"),
    ]
    for content, words in refused:
        (tmp_path / "list.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=words) as caught:
            base_to_new_split(data, file=str(tmp_path / "list.json"))
        assert "\n" not in str(caught.value)
    (tmp_path / "cut.json").write_text(listing.read_text()[:-40])
    for wrong in (tmp_path / "cut.json", tmp_path / "nowhere.json"):
        with pytest.raises(InputError, match=r"damaged|no such file"):
            base_to_new_split(data, file=str(wrong))
    with pytest.raises(InputError, match=r"data\.file=.*damaged"):
        image_table(tmp_path / "cut.json", root=listing.parent / "images")
    with pytest.raises(InputError, match="leave out one of the two"):
        base_to_new_split(data, unseen=["ant"], file=str(listing))


def test_entries_that_are_no_image_are_skipped(listing: Path, tmp_path: Path) -> None:
    content = json.loads(listing.read_text())
    content["val"].append(["pictures/000 ü.png", "owl"])
    (tmp_path / "list.json").write_text(json.dumps(content))
    data = image_table(tmp_path / "list.json", root=listing.parent / "images")
    assert [line for line in data.skipped if line.endswith("class name]")] == [
        "list.json, val 7: not [path, number, class name]"
    ]
    assert len(data.rows) == 48
