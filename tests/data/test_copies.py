"""No image is on two sides of a split, whatever its file is called and whatever deals the rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.images import noise_image
from helpers.splits import parts, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.copies import SplitImages, split_images
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.folders import image_folder
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.published_split import folders_split
from devise_exp.data.sides import is_earlier
from devise_exp.data.splits import Split, given_split, named_split, random_split
from devise_exp.data.subset import subset

PARTS = ("train", "val", "test", "unseen")


def rows_of(contents: dict[str, Sequence[int]]) -> LabelledRows:
    """Class name -> the image that each of its files shows."""
    classes = sorted(contents)
    labels = np.array([c for c, name in enumerate(classes) for _ in contents[name]])
    return LabelledRows(
        classes=classes,
        labels=labels,
        rows=[f"{name}/{i:03}.jpg" for name in classes for i in range(len(contents[name]))],
        contents=[f"{image:08}" for name in classes for image in contents[name]],
        parts=[
            ("train", "train", "test", "val")[i % 4]
            for name in classes
            for i in range(len(contents[name]))
        ],
    )


def shared(data: LabelledRows, split: Split) -> set[str]:
    """The contents that are in two parts of a split."""
    assert data.contents is not None
    of_part = [
        {data.contents[row] for row in part}
        for part in (split.train, split.val, split.test, split.unseen_rows)
    ]
    return {c for i, part in enumerate(of_part) for c in part if any(c in o for o in of_part[:i])}


def deal_anyhow(data: LabelledRows) -> Split:
    """A split of a person's own, and of published parts: rows of seen classes in any part."""
    usable = np.flatnonzero(data.labels >= 0)
    is_unseen = np.arange(len(data.classes)) == 0
    seen = usable[~is_unseen[data.labels[usable]]]
    order = np.random.default_rng(len(usable)).permutation(seen)
    rows = (*(np.sort(part) for part in np.array_split(order, 3)), usable[data.labels[usable] == 0])
    return given_split(data, rows, "anyhow", is_unseen=is_unseen)


MAKERS: list[Callable[[LabelledRows], Split]] = [
    random_split,
    lambda data: named_split(data, data.classes[:1]),
    lambda data: random_split(data, n_seen=2, train_per_class=3),
    lambda data: folders_split(data, unseen=list(data.classes[:1])),
    deal_anyhow,
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=30), min_size=4, max_size=7),
    st.sampled_from(MAKERS),
    st.sampled_from(["keep", "drop"]),
)
def test_no_image_is_in_two_parts_of_any_split(
    images: list[list[int]], make: Callable[[LabelledRows], Split], in_two: str
) -> None:
    """Or one line says why there is none."""
    data = rows_of({f"class {c}": row for c, row in enumerate(images)})
    try:
        result = split_images(data, make, in_two_classes=in_two)
    except InputError:
        return
    split = result.split
    assert not shared(data, split)
    trained = {int(c) for c in data.labels[split.train]}
    if make is not deal_anyhow:  # which gives some classes no training rows
        assert {data.classes[c] for c in trained} == {split.classes[c] for c in split.seen}
    elif in_two == "keep":
        assert trained == {int(c) for c in data.labels[make(data).train]}
    assert result.report is not None
    assert result.report.copies == len(data.rows) - len(set(data.contents or ()))
    if in_two == "drop" and result.report.in_two_classes:
        ambiguous = {
            content for content in data.contents or ()
            if len({c for c, x in zip(data.labels, data.contents or (), strict=True)
                    if x == content}) > 1
        }  # fmt: skip
        assert len(ambiguous) == result.report.in_two_classes
        rows = np.concatenate([split.train, split.val, split.test, split.unseen_rows])
        assert not ambiguous & {(data.contents or ())[row] for row in rows}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 60), min_size=9, max_size=30), min_size=4, max_size=6),
    st.integers(0, 99),
)
def test_copies_are_dealt_alike_in_any_order(images: list[list[int]], order: int) -> None:
    data = rows_of({f"class {c}": row for c, row in enumerate(images)})
    other = shuffled(data, order)
    try:
        here = split_images(data, random_split).split
    except InputError:
        with pytest.raises(InputError):
            split_images(other, random_split)
        return
    there = split_images(other, random_split).split
    assert parts(data, here) == parts(other, there)
    assert here.fingerprint == there.fingerprint


def test_without_copies_contents_decide_nothing() -> None:
    data = rows_of({c: range(40 * i, 40 * i + 30) for i, c in enumerate("abcde")})
    for make in MAKERS:
        plain = make(replace(data, contents=None))
        result = split_images(data, make)
        assert result.split.fingerprint == plain.fingerprint
        assert parts(data, result.split) == parts(data, plain)


def test_copies_within_a_class_count_as_one_image_and_stay_together() -> None:
    data = rows_of({"cat": [*range(10), *range(10), 3], "dog": range(20, 30), "emu": range(40, 50)})
    split = split_images(data, lambda rows: named_split(rows, ["emu"])).split
    assert sum(map(len, parts(data, split).values())) == 41  # nothing is left out
    assert not shared(data, split)
    assert len({(data.contents or ())[r] for r in split.test if data.labels[r] == 0}) == 2
    few = rows_of({"cat": [1, 1, 1, 2], "dog": range(20, 30), "emu": range(40, 50)})
    with pytest.raises(
        InputError, match=r"test on in cat \(2\): add images .3 or more a class, no"
    ):
        named_split(few, ["emu"])


def test_the_later_part_keeps_its_rows() -> None:
    """The class that is unseen shows images of a seen one: those leave train, val and test."""
    data = rows_of(
        {"cat": range(30), "dog": range(100, 130), "emu": [*range(10), *range(200, 209)]}
    )
    result = split_images(data, lambda rows: named_split(rows, ["emu"]))
    assert len(result.split.unseen_rows) == 19
    assert not {f"{i:08}" for i in range(10)} & {
        (data.contents or ())[row]
        for row in (*result.split.train, *result.split.val, *result.split.test)
    }
    plain = named_split(data, ["emu"])
    assert result.split.fingerprint != plain.fingerprint
    assert result.report is not None
    assert (result.report.left_out, result.report.in_two_classes) == (10, 10)
    assert result.report.ambiguous[0] == "cat/000.jpg = emu/000.jpg"


def test_copies_that_take_a_class_away_are_one_line() -> None:
    whole = rows_of({"cat": range(9), "dog": range(20, 29), "backup": [*range(9), *range(20, 29)]})
    with pytest.raises(InputError, match=r"no training images of cat, dog are left, .*backup/"):
        split_images(whole, lambda rows: named_split(rows, ["backup"]))
    with pytest.raises(
        InputError, match=r"in_two_classes=drop: every image of backup, cat, dog is"
    ):
        split_images(whole, lambda rows: named_split(rows, ["dog"]), in_two_classes="drop")
    data = rows_of({"cat": range(9), "dog": [5, 6, 7], "emu": range(40, 49)})

    def all_validation_rows_are_test_rows(rows: LabelledRows) -> Split:
        of_part = ([0, 1, 2, 3, 4], [5, 6], [9, 10, 11], range(12, 21))
        return given_split(rows, tuple(np.array(part) for part in of_part), "x")  # type: ignore

    with pytest.raises(InputError, match=r"split x: no validation images are left"):
        split_images(data, all_validation_rows_are_test_rows)


def test_lines_are_bounded() -> None:
    data = rows_of({"cat": [7] * 400 + [1, 2, 3], "dog": range(20, 29), "emu": range(40, 49)})
    result = split_images(data, lambda rows: named_split(rows, ["emu"]))
    assert result.report is not None
    (line,) = result.report.lines
    assert line.count(" = ") == 9
    assert line.endswith(" and 390 more")


# On real files.


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four classes of eight images each."""
    root = tmp_path / "photos"
    for c, name in enumerate(("cat", "dog", "emu", "yak")):
        for i in range(8):
            noise_image(root / name / f"{i}.png", seed=100 * c + i)
    return root


def split_of(dataset: ImageDataset, **options: str) -> SplitImages:
    return split_images(
        labelled_rows(dataset), lambda rows: named_split(rows, ["emu"]), dataset.looks, **options
    )


def sides(dataset: ImageDataset, result: SplitImages) -> dict[str, str]:
    """Row name -> its part."""
    by_part = parts(labelled_rows(dataset), result.split)
    return {row: part for part, rows in by_part.items() for row in rows}


def test_copies_under_other_names_and_in_other_formats_of_the_same_pixels(photos: Path) -> None:
    for i in range(8):
        shutil.copy(photos / f"cat/{i}.png", photos / f"cat/{i} copy (1).png")
        Image.open(photos / f"dog/{i}.png").save(photos / f"dog/{i}.bmp")
    Image.open(photos / "yak/0.png").save(photos / "yak/described.png", pnginfo=None, dpi=(72, 72))
    dataset = image_folder(photos)
    result = split_of(dataset)
    part = sides(dataset, result)
    for i in range(8):
        assert part[f"cat/{i}.png"] == part[f"cat/{i} copy (1).png"]
        assert part[f"dog/{i}.png"] == part[f"dog/{i}.bmp"]
    assert result.report is not None
    assert (result.report.copies, result.report.left_out) == (17, 0)
    assert "cat/0 copy (1).png = cat/0.png" in result.report.lines


def test_a_data_set_inside_itself(photos: Path) -> None:
    shutil.copytree(photos, photos / "copy_of_photos")
    dataset = image_folder(photos, levels=1)
    result = split_of(dataset)
    assert not shared(labelled_rows(dataset), result.split)
    assert result.report is not None
    assert (result.report.copies, result.report.in_two_classes) == (32, 32)
    assert any("copy_of_photos/emu/1.png" in line for line in result.report.ambiguous)


def photograph(seed: int) -> Image.Image:
    """A smooth image, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def test_near_copies_are_counted_and_grouped_on_request(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for c, name in enumerate(("cat", "dog", "emu", "yak")):
        (root / name).mkdir(parents=True)
        for i in range(8):
            image = photograph(100 * c + i)
            image.save(root / name / f"{i}.jpg", quality=92)
            image.resize((96, 72)).save(root / name / f"{i} small.png")
    photograph(300).save(root / "emu/yak.webp", quality=60)  # in an unseen class
    dataset = image_folder(root)
    counted = split_of(dataset)
    assert counted.report is not None
    assert (counted.report.copies, counted.report.near_copies) == (0, 33)
    assert counted.report.near_on_two_sides > 0
    assert counted.split.fingerprint == named_split(labelled_rows(dataset), ["emu"]).fingerprint
    grouped = split_of(dataset, near="group")
    assert grouped.report is not None
    assert (grouped.report.near_copies, grouped.report.near_on_two_sides) == (33, 0)
    part = sides(dataset, grouped)
    for name in ("cat", "dog", "emu"):
        for i in range(8):
            assert part[f"{name}/{i}.jpg"] == part[f"{name}/{i} small.png"]
    assert not {"yak/0.jpg", "yak/0 small.png"} & set(part)
    assert part["emu/yak.webp"] == "unseen"
    assert grouped.report.left_out == 2
    assert "cat/0 small.png ~ cat/0.jpg" in grouped.report.lines


def test_min_images_counts_no_copies(photos: Path) -> None:
    for i in range(3):
        shutil.copy(photos / "cat/0.png", photos / f"cat/0 copy {i}.png")
    noise_image(photos / "dog/8.png", seed=999)
    assert subset(image_folder(photos), min_images=9).classes == ("dog",)


def test_a_limit_counts_no_copies(photos: Path) -> None:
    """So a class keeps the three images that a split needs."""
    for i in range(3):
        shutil.copy(photos / "cat/0.png", photos / f"cat/0 copy {i}.png")
    dataset = subset(image_folder(photos), limit_per_class=3)
    assert [row for row in dataset.rows if row.startswith("cat/0")] == [
        "cat/0 copy 0.png", "cat/0 copy 1.png", "cat/0 copy 2.png", "cat/0.png"
    ]  # fmt: skip
    split = split_images(labelled_rows(dataset), random_split).split
    assert {len(split.val), len(split.test)} <= {len(split.seen), len(split.seen) + 3}


NAMES = st.sampled_from(["a", "b", "c", "copy (1)", "IMG_1", "x y", "é"])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(NAMES, st.integers(0, 14)), min_size=5, max_size=14),
        min_size=3, max_size=5,
    ),
    st.sampled_from(MAKERS),
)  # fmt: skip
def test_random_trees_of_folders_with_copies(
    tmp_path_factory: pytest.TempPathFactory,
    tree: list[list[tuple[str, int]]],
    make: Callable[[LabelledRows], Split],
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for c, files in enumerate(tree):
        for i, (name, image) in enumerate(files):
            noise_image(root / f"class {c}" / ("deep" if i % 3 else "") / f"{name} {i}.png", image)
    dataset = image_folder(root)
    data = labelled_rows(dataset)
    content = {row: (root / row).read_bytes() for row in dataset.rows}
    try:
        result = split_images(data, make, dataset.looks)
    except InputError:
        return
    by_part = {
        part: {content[row] for row in rows} for part, rows in parts(data, result.split).items()
    }
    for i, part in enumerate(PARTS):
        for other in PARTS[:i]:
            assert not by_part[part] & by_part[other]
    assert result.images is not None
    assert not is_earlier(result.split, result.images).any()
