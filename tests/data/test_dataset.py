"""Datasets fit together, name what they skip, and have subsets."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.images import bomb, noise_image, truncate
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devise_exp.core import text_column
from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.folders import image_folder
from devise_exp.data.images import ImageArrays
from devise_exp.data.scan import images_fingerprint
from devise_exp.data.splits import random_split
from devise_exp.data.subset import subset


@pytest.mark.parametrize(
    ("name", "reason", "harm"),
    [
        ("okapi/cut.jpg", "damaged", lambda path: truncate(noise_image(path, 7, (200, 150)))),
        ("okapi/cut.png", "damaged", lambda path: truncate(noise_image(path, 7, (200, 150)))),
        ("okapi/text.jpg", "not an image", lambda path: path.write_text("an okapi")),
        ("okapi/empty.jpg", "not an image", lambda path: path.touch()),
        ("okapi/bomb.png", "too large", bomb),
        ("okapi/bomb of greys.png", "too large", lambda p: bomb(p, (20_000, 20_000), colour=0)),
        ("okapi/nowhere.jpg", "cannot be read", lambda path: path.symlink_to("gone.jpg")),
        ("okapi/pipe.jpg", "cannot be read", os.mkfifo),
    ],
)
def test_a_broken_image_is_named_and_skipped(tree: Path, name: str, reason: str, harm) -> None:
    whole = image_folder(tree)
    harm(tree / name)
    dataset = image_folder(tree)
    assert dataset.rows == whole.rows
    assert dataset.fingerprint == whole.fingerprint
    assert len(dataset.skipped) == 1
    assert dataset.skipped[0].startswith(f"{name}: {reason}")
    assert "0x" not in dataset.skipped[0]
    with pytest.raises(InputError, match=rf"1 of 5 images are broken \({name}: {reason}"):
        image_folder(tree, strict=True)


def image_of(path: Path, size: tuple[int, int]) -> None:
    Image.new("1", size).save(path)


def test_classes_without_good_images_are_left_out_and_named(tree: Path) -> None:
    (tree / "unicorn").mkdir()
    (tree / "yeti").mkdir()
    (tree / "yeti" / "blurred.jpg").write_text("it was here")
    dataset = image_folder(tree)
    assert dataset.classes == ("emu", "okapi")
    assert [note.split(":")[0] for note in dataset.skipped] == [
        "yeti",  # a class that is lost comes before its images, of which a warning names the first
        "unicorn",
        "yeti/blurred.jpg",
    ]


def in_memory(labels: list[int], classes: int) -> ImageDataset:
    names = tuple(f"class{index:02d}" for index in range(classes))
    rows = tuple(f"{names[label]}/{index:03d}" for index, label in enumerate(labels))
    contents = [(row, row.encode()) for row in rows]
    pixels = np.arange(len(rows), dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 2, 2, 3), dtype=np.uint8
    )
    return ImageDataset(
        name="made",
        classes=names,
        labels=np.array(labels, dtype=np.int64),
        rows=rows,
        fingerprint=images_fingerprint(contents),
        images=ImageArrays(pixels),
        contents=tuple(f"content of {row}" for row in rows),
        parts=tuple("train" if index % 2 else None for index in range(len(rows))),
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.none() | st.integers(1, 8),
    st.none() | st.integers(1, 8),
)
def test_filtered_agrees_with_a_row_by_row_count(
    labels: list[int], minimum: int | None, limit: int | None
) -> None:
    dataset = in_memory(labels, 5)
    wanted = []
    for index, row in enumerate(dataset.rows):
        of_class = [i for i in range(len(labels)) if labels[i] == labels[index]]
        of_part = [i for i in of_class if i % 2 == index % 2]
        if len(of_class) >= (minimum or 1) and of_part.index(index) < (limit or 1000):
            wanted.append(row)
    if not wanted:
        with pytest.raises(InputError, match=r"lower subset\.min_images"):
            subset(dataset, minimum, limit)
        return
    kept = subset(dataset, minimum, limit)
    assert list(kept.rows) == wanted
    assert kept.contents == tuple(f"content of {row}" for row in wanted)
    part_of = dict(zip(dataset.rows, dataset.parts or (), strict=True))
    assert kept.parts == tuple(part_of[row] for row in wanted)
    assert [kept.classes[label] for label in kept.labels] == [row.split("/")[0] for row in wanted]
    assert kept.images is not None
    assert [np.asarray(image)[0, 0, 0] for image in kept.images] == [
        int(row.split("/")[1]) for row in wanted
    ]
    assert (kept.fingerprint == dataset.fingerprint) == (len(wanted) == len(labels))
    if minimum is not None:
        assert set(kept.classes) == {row.split("/")[0] for row in wanted}
        assert len(kept.skipped) == 5 - len(kept.classes)


def test_filtered_takes_the_first_by_name_and_refuses_zero(tree: Path) -> None:
    dataset = image_folder(tree)
    assert subset(dataset, limit_per_class=1).rows == ("emu/a.png", "okapi/a.jpg")
    fewer, all_rows = subset(dataset, limit_per_class=1), subset(dataset, min_images=2)
    assert fewer.fingerprint != dataset.fingerprint == all_rows.fingerprint
    noise_image(tree / "okapi/a.jpg", seed=77)
    assert subset(image_folder(tree), limit_per_class=1).fingerprint != fewer.fingerprint
    with pytest.raises(InputError, match="limit_per_class=0"):
        subset(dataset, limit_per_class=0)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"classes": ("b", "a")}, "sorted"),
        ({"classes": ()}, "one or more"),
        ({"labels": np.array([0, 2])}, "outside the 2 classes"),
        ({"labels": np.array([0])}, "one for each"),
        ({"labels": np.array([0.0, 1.0])}, "int64"),
        ({"rows": ("a/1", "a/1")}, "not unique"),
        ({"images": []}, "0 images for 2 rows"),
        ({"contents": ("c",)}, "1 contents for 2 rows"),
        ({"parts": ("train", None, "test")}, "3 parts for 2 rows"),
    ],
)
def test_a_dataset_that_does_not_fit_together_is_refused(change: dict, wrong: str) -> None:
    fields = {
        "name": "x",
        "classes": ("a", "b"),
        "labels": np.array([0, 1]),
        "rows": ("a/1", "b/1"),
        "fingerprint": "f",
        "images": None,
    }
    ImageDataset(**fields)
    with pytest.raises(ValueError, match=wrong):
        ImageDataset(**(fields | change))


def test_the_names_of_many_images_are_kept_in_a_column(
    image_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = image_folder(image_tree)
    monkeypatch.setattr(text_column, "MANY_TEXTS", 10)
    many = image_folder(image_tree)
    assert isinstance(many.rows, text_column.TextColumn)
    assert (tuple(many.rows), many.contents) == (few.rows, few.contents)
    assert many.fingerprint == few.fingerprint
    assert many.images is not None
    assert few.images is not None
    assert many.images[7].tobytes() == few.images[7].tobytes()
    one, other = (random_split(labelled_rows(dataset), 1) for dataset in (few, many))
    assert one.fingerprint == other.fingerprint
    for part in ("train", "val", "test", "unseen_rows"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))
