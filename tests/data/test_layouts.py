"""Trees of folders as people download them: read as they are meant, or one line says how."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from helpers.trees import grow, within

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.folders import image_folder

ANIMALS = ("cat", "dog", "emu")
GROCERIES = (
    "Fruit/Apple/Golden-Delicious", "Fruit/Apple/Pink-Lady", "Fruit/Banana",
    "Packages/Milk/Arla", "Packages/Yoghurt/Oatly",
)  # fmt: skip
VARIETIES = ("Arla", "Banana", "Golden-Delicious", "Oatly", "Pink-Lady")
SCENES = (
    "a/abbey", "a/airport", "b/bakery", "a/apartment_building/outdoor", "p/pool/outdoor",
    "p/pool/indoor", "l/lake",
)  # fmt: skip


def refusal(root: Path, **options: Any) -> str:
    """The line that a folder ends with; its options are split from it as a shell does."""
    with pytest.raises(InputError) as caught:
        image_folder(root, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000
    return line


def as_told(root: Path, line: str) -> ImageDataset:
    """What the first options of a line read."""
    options: dict[str, Any] = {"root": root}
    first = re.split(r" \(\d+ classes: ", line.partition(": give ")[2])[0]
    for word in shlex.split(first):
        key, _, value = word.partition("=")
        if key.startswith("data."):
            options[key.removeprefix("data.")] = int(value) if value.isdecimal() else value
        elif word == "split=official":
            options["parts"] = "keep"
    return image_folder(**options)


@pytest.mark.parametrize(
    ("folders", "seen", "classes", "parts"),
    [
        (within(["training_set/training_set", "test_set/test_set"], ANIMALS),
         "holds parts (training_set, test_set)", ANIMALS, {"train", "test"}),
        ([*within(["dataset/train", "dataset/val", "dataset/test"], ANIMALS), "dataset/other"],
         "holds a single folder (dataset), not classes, and in it parts (train, val, test) beside "
         "other", ANIMALS, {"train", "val", "test"}),
        (within(["train", "valid", "test"], ("air hockey", "barrel racing", "it's a b-c")),
         "holds parts (train, valid, test)", ("air hockey", "barrel racing", "it's a b-c"),
         {"train", "val", "test"}),
        (within(["dataset/train", "dataset/val", "dataset/test"], GROCERIES),
         "parts (train, val, test)", VARIETIES, {"train", "val", "test"}),
        (within(["Images_Train2017", "HoldOut-2"], ANIMALS), "parts (Images_Train2017, HoldOut-2)",
         ANIMALS, {"train", "test"}),
        (within(["asl alphabet train/images", "asl alphabet test"], ANIMALS),
         "parts (asl alphabet train, asl alphabet test)", ANIMALS, {"train", "test"}),
        (within(list(ANIMALS), ("TRAIN", "Eval")), "parts (TRAIN, Eval) in the class folders",
         ANIMALS, {"train", "test"}),
        ([*within(["train", "dev"], ANIMALS), "docs"], "parts (train, dev) beside docs", ANIMALS,
         {"train", "val"}),
    ],
)  # fmt: skip
def test_parts_are_kept_with_the_options_of_the_line(
    folders: list[str], seen: str, classes: tuple[str, ...], parts: set[str], tmp_path: Path
) -> None:
    root = grow(tmp_path / "My Pictures (2020)", *folders)
    line = refusal(root)
    assert seen in line
    assert " split=official" in line
    assert "data.parts=keep" not in line
    assert "data.parts=join" in line
    dataset = as_told(root, line)
    assert dataset.classes == tuple(sorted(classes))
    assert dataset.parts is not None
    assert set(dataset.parts) == parts
    assert len(dataset.rows) == 3 * len(classes) * len(parts)


@pytest.mark.parametrize(
    ("folders", "seen", "classes"),
    [
        (within(["pictures"], ANIMALS), "a single folder (pictures)", ANIMALS),
        (within(["archive/data"], ANIMALS), "a single folder (archive/data)", ANIMALS),
        (within(["training_set/training_set"], ANIMALS),
         "a single folder (training_set/training_set)", ANIMALS),
        (within(["it's here/R&D #1"], ANIMALS), "a single folder (it's here/R&D #1)", ANIMALS),
        ([*within(["train"], ANIMALS), "test*5"], "holds one part with class folders (train) "
         "beside test", ANIMALS),
        ([*within(["seg_train/seg_train"], ANIMALS), "seg_pred/seg_pred*4"],
         "holds one part with class folders (seg_train) beside seg_pred", ANIMALS),
        (list(GROCERIES), "(Fruit, Packages)", VARIETIES),
        (list(SCENES), "(a, b, l, p)",
         ("abbey", "airport", "apartment_building/outdoor", "bakery", "indoor", "lake",
          "pool/outdoor")),
        (["cat", "emu", "dog/poodle", "dog/beagle"], "(dog)", ("beagle", "cat", "emu", "poodle")),
        (["Fruit*1", "Fruit/fig", "Fruit/plum", "Greens/leek"], "(Fruit, Greens)",
         ("fig", "leek", "plum")),
        (["0001/cat", "0001/dog", "0002/emu"], "(0001, 0002)", ANIMALS),
        (["caltech/cat", "caltech/dog", "birds/emu"], "(birds, caltech)", ANIMALS),
    ],
)  # fmt: skip
def test_folders_above_the_classes_are_passed_with_the_options_of_the_line(
    folders: list[str], seen: str, classes: tuple[str, ...], tmp_path: Path
) -> None:
    root = grow(tmp_path / "root", *folders)
    line = refusal(root)
    assert seen in line
    dataset = as_told(root, line)
    assert dataset.classes == tuple(sorted(classes))
    assert dataset.parts is None


def test_a_depth_takes_the_coarser_folders_as_classes(tmp_path: Path) -> None:
    root = grow(tmp_path, *within(["train", "test"], GROCERIES))
    dataset = image_folder(root, levels=2, parts="keep")
    assert dataset.classes == ("Apple", "Banana", "Milk", "Yoghurt")
    assert dataset.rows[0] == "Apple/test/Golden-Delicious/0.png"
    joined = image_folder(root, levels=2, parts="join")
    assert (joined.rows, joined.parts) == (dataset.rows, None)
    assert "near-copies" in joined.remarks[0]
    assert "above this depth, in Fruit/Banana: give data.levels=leaf" in refusal(
        root, levels=3, parts="join"
    )
    assert "data.levels=leaf (5 classes" in refusal(root, parts="join")
    assert "split=official" not in refusal(root, parts="join")


@pytest.mark.parametrize(
    ("levels", "folders", "classes"),
    [
        (2, within(["train", "test"], ANIMALS), ANIMALS),
        (4, within(["train", "test"], GROCERIES), VARIETIES),
        (3, within(list(ANIMALS), ("train", "test")), ANIMALS),
        (1, within(["train", "test"], GROCERIES), ("Fruit", "Packages")),
    ],
)
def test_a_line_offers_a_depth_only_if_it_gives_classes(
    levels: int, folders: list[str], classes: tuple[str, ...], tmp_path: Path
) -> None:
    root = grow(tmp_path, *folders)
    line = refusal(root, levels=levels)
    assert "(0 classes" not in line
    assert as_told(root, line).classes == tuple(sorted(classes))


@pytest.mark.parametrize(
    ("folders", "seen", "root"),
    [
        (within(["x/fold1", "x/fold2"], ANIMALS), "a single folder (x)", "x/fold1"),
        (within(within(["photo", "sketch"], ("train", "test")), ANIMALS),
         "parts (train, test) in the class folders", "photo"),
        (within(["images/train", "images/val", "labels/train", "labels/val"], ANIMALS),
         "parts (train, val) in the class folders", "images"),
        (within(["train", "test"], ("site1/cat", "site1/dog", "site2/cat", "site2/dog")),
         "parts (train, test)", "train/site1"),
        (within(["train2017", "train2018"], ANIMALS), "(train2017, train2018)", "train2017"),
        (["x/boat", "x/plane", "x/test"], "a single folder (x)", "x"),
    ],
)  # fmt: skip
def test_a_tree_that_no_option_reads_as_a_whole_is_entered(
    folders: list[str], seen: str, root: str, tmp_path: Path
) -> None:
    line = refusal(grow(tmp_path, *folders))
    assert seen in line
    assert line.endswith(f"data.root={tmp_path / root}")


def test_no_option_of_a_line_ends_in_another_line(tmp_path: Path) -> None:
    root = grow(tmp_path, "cat/train", "cat/test", "dog", "emu")  # leaf: classes train and test
    line = refusal(root)
    assert "leaf" not in line
    assert as_told(root, line).classes == ANIMALS


def test_images_above_the_parts_of_a_class_are_left_out(tmp_path: Path) -> None:
    root = grow(tmp_path, "cat*1", *within(list(ANIMALS), ("train", "test")))
    dataset = as_told(root, refusal(root))
    assert (dataset.classes, set(dataset.parts or ())) == (ANIMALS, {"train", "test"})
    assert dataset.skipped == ("cat: 1 images not in a class folder",)


def test_parts_that_share_a_word_are_no_classes(tmp_path: Path) -> None:
    line = refusal(grow(tmp_path / "domains", "trainA", "trainB", "testA", "testB"))
    assert "holds parts (testA, testB, trainA, trainB) whose images lie directly in them" in line
    line = refusal(grow(tmp_path / "one", *within(["train"], ANIMALS)), levels=1)
    assert "classes named as parts of a split (train) and no others: set data.root" in line


def test_a_file_that_may_be_an_image_does_not_change_what_a_class_is(tmp_path: Path) -> None:
    root = grow(tmp_path, "okapi/images", "emu/images", "cat")
    (root / "okapi" / "notes").mkdir()
    (root / "okapi" / "notes" / "index").write_text("text")
    classes = image_folder(root, levels="leaf").classes
    assert classes == ("cat", "emu", "okapi")


@pytest.mark.parametrize("folder", ["train", "Validation", "test_set", "dev-data", "HOLD OUT"])
def test_parts_of_plain_images_are_no_classes(folder: str, tmp_path: Path) -> None:
    root = grow(tmp_path, folder, "testing")
    for options in ({}, {"levels": 1}, {"levels": "leaf"}, {"parts": "keep"}, {"parts": "join"}):
        line = refusal(root, **options)
        assert "images lie directly in them, without class folders: sort them into" in line


def test_a_class_named_as_a_part_beside_other_classes(tmp_path: Path) -> None:
    vehicles = image_folder(grow(tmp_path / "vehicles", "boat", "plane", "Train"))
    assert vehicles.classes == ("Train", "boat", "plane")
    assert vehicles.remarks[0].startswith("Train, beside other class folders (boat, plane), is rea")
    unclear = grow(tmp_path / "animals", *ANIMALS, "test")
    assert "images lie directly in test, beside other" in refusal(unclear)
    assert image_folder(unclear, levels=1).classes == (*ANIMALS, "test")
    both = grow(tmp_path / "both", *ANIMALS, "test", "train")
    assert "classes named as parts of a split (test, train)" in refusal(both, levels=1)
    stations = image_folder(
        grow(tmp_path / "stations", "bullet train", "train station", "test tube")
    )
    assert len(stations.classes) == 3


def test_folders_that_say_nothing_are_no_level(tmp_path: Path) -> None:
    root = grow(tmp_path / "one", "okapi/images", "emu/JPEG", "kiwi")
    dataset = image_folder(root)
    assert dataset.classes == ("emu", "kiwi", "okapi")
    assert image_folder(root, levels="leaf").rows == dataset.rows
    office = grow(tmp_path / "office", *within(["amazon/images", "webcam/images"], ANIMALS))
    line = refusal(office)
    assert "(amazon, webcam)" in line  # the same classes twice: no option reads both
    assert "data.levels" not in line
    assert f"data.root={office / 'amazon' / 'images'} (3 classes" in refusal(office / "amazon")


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    root = grow(tmp_path, "train", "train/cat", "train/dog", "test/cat", "test/dog", "docs", ".*2")
    skipped = image_folder(root, parts="keep").skipped
    assert skipped == (
        "2 images beside the class folders, such as 0.png: left out",
        "docs: 3 images not in a class folder",
        "train: 3 images not in a class folder",
    )


def test_a_flat_folder_is_searched_or_belongs_to_the_folder_above(tmp_path: Path) -> None:
    root = grow(tmp_path / "it's", "cat", "dog")
    line = refusal(root / "cat")
    assert "its 3 images lie directly in it (such as 0.png)" in line
    assert shlex.quote(f"data.root={root}") in line
    assert f"devise-exp index RUN {shlex.quote(str(root / 'cat'))}" in line


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"levels": 0}, "data.levels=0: give leaf, a whole number from 1 on, or null"),
        ({"levels": True}, "data.levels=True: give leaf"),
        ({"levels": "leaves"}, "data.levels=leaves: give leaf"),
        ({"parts": "both"}, "data.parts=both: choose keep, join or null"),
        ({"parts": "keep"}, "holds no folders such as train and test that hold class folders"),
    ],
)
def test_wrong_options(options: dict[str, Any], line: str, tmp_path: Path) -> None:
    assert line in refusal(grow(tmp_path, *ANIMALS), **options)


def test_a_link_loop_and_a_file_without_ending_do_not_change_the_layout(tmp_path: Path) -> None:
    root = grow(tmp_path, *within(["train", "test"], ANIMALS))
    (root / "train" / "cat" / "loop").symlink_to(root)
    (root / "LICENSE").write_text("text")
    (root / "train" / "notes").mkdir()
    (root / "train" / "notes" / "README").write_text("text")
    assert image_folder(root, parts="keep").classes == ANIMALS


@pytest.mark.parametrize("root", ["/proc", "/proc/self", "/sys"])
def test_folders_of_the_system_are_not_walked(root: str) -> None:
    assert "is a folder of the operating system: set data.root" in refusal(Path(root))
