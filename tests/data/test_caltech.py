"""Caltech-101 and Caltech-256 in small, and their listings."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.published_sets import caltech101_tree, image
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.caltech import caltech101, caltech256, dataset_from_listing
from devise_exp.data.dataset import ImageDataset


def dataset_listing(dataset: ImageDataset) -> dict[str, Any]:
    """The listing that `dataset_from_listing` reads."""
    ranges: dict[str, list[str]] = {}
    for row in dataset.rows:
        class_name, number = re.fullmatch(r"(.+)/image_(\d{4})\.jpg", row).groups()
        runs = ranges.setdefault(class_name, [])
        first, last = runs[-1].split("-") if runs else ("", "-1")
        if int(number) == int(last) + 1 and runs:
            runs[-1] = f"{first}-{int(number)}"
        else:
            runs.append(f"{int(number)}-{int(number)}")
    classes = {class_name: ",".join(ranges[class_name]) for class_name in sorted(ranges)}
    return {"fingerprint": dataset.fingerprint, "classes": classes}


def test_caltech101_reads_what_torchvision_cannot(root: Path) -> None:
    folder = caltech101_tree(root)  # a gap in the numbers, and no BACKGROUND_Google
    (folder / ".DS_Store").touch()
    plain = caltech101(root)
    assert plain.classes == ("Faces", "okapi")
    assert plain.rows[:2] == ("Faces/image_0001.jpg", "okapi/image_0001.jpg")
    assert plain.labels.tolist() == [0, 1, 1, 1]
    image(folder / "BACKGROUND_Google" / "image_0001.jpg")
    (folder / "BACKGROUND_Google" / "tmp").touch()
    for start in (root, folder.parent, folder, str(root)):
        dataset = caltech101(start)
        assert dataset.fingerprint == plain.fingerprint
        assert (dataset.rows, dataset.skipped) == (plain.rows, ())


def test_caltech101_strict_names_a_broken_image(root: Path) -> None:
    folder = caltech101_tree(root)
    (folder / "okapi" / "image_0002.jpg").write_bytes(b"\xff\xd8\xff")
    assert len(caltech101(root).skipped) == 1
    with pytest.raises(InputError, match=r"1 of 4 images are broken \(okapi/image_0002\.jpg"):
        caltech101(root, strict=True)


def test_the_listing_of_a_tree_makes_the_same_dataset_without_images(root: Path) -> None:
    caltech101_tree(root)
    dataset = caltech101(root)
    content = dataset_listing(dataset)
    assert content["classes"] == {"Faces": "1-1", "okapi": "1-2,5-5"}
    again = dataset_from_listing("caltech101", json.loads(json.dumps(content)))
    assert again.images is None
    assert (again.classes, again.rows) == (dataset.classes, dataset.rows)
    assert again.labels.tolist() == dataset.labels.tolist()
    assert again.fingerprint == dataset.fingerprint


@given(
    st.dictionaries(
        st.text("abcAB_ -", min_size=1), st.sets(st.integers(0, 9999), min_size=1), min_size=1
    )
)
def test_any_listing_round_trips(numbers: dict[str, set[int]]) -> None:
    rows = sorted(f"{name}/image_{number:04d}.jpg" for name in numbers for number in numbers[name])
    classes = tuple(sorted(numbers))
    labels = np.array([classes.index(row.rsplit("/", 1)[0]) for row in rows], dtype=np.int64)
    dataset = ImageDataset(
        name="made", classes=classes, labels=labels, rows=tuple(rows), fingerprint="f", images=None
    )
    again = dataset_from_listing("made", dataset_listing(dataset))
    assert (again.classes, again.rows) == (classes, tuple(rows))
    assert again.labels.tolist() == labels.tolist()


def test_the_shipped_listing_is_the_published_caltech101() -> None:
    dataset = caltech101()
    assert dataset.images is None
    assert (len(dataset.rows), len(dataset.classes)) == (8677, 101)
    assert list(dataset.rows) == sorted(dataset.rows)
    counts = dict(zip(dataset.classes, np.bincount(dataset.labels), strict=True))
    assert (counts["airplanes"], counts["okapi"], counts["inline_skate"]) == (800, 39, 31)
    assert counts["Faces"] == counts["Faces_easy"] == 435
    with pytest.raises(InputError, match=r"set data\.root"):
        caltech101(download=True)


def test_caltech256_drops_numbers_markers_clutter_and_strays(root: Path) -> None:
    folder = root / "caltech256" / "256_ObjectCategories"
    for name in ("001.ak47/001_0001", "250.zebra/250_0002", "251.airplanes-101/251_0001"):
        image(folder / f"{name}.jpg")
    image(folder / "257.clutter" / "257_0001.jpg")
    image(folder / "001.ak47" / "greg" / "vision" / "001_0001.jpg")
    image(folder / "001.ak47" / "001_0001.jpg.orig")
    (folder / "001.ak47" / "RENAME2").write_text("mv a b")
    dataset = caltech256(root, strict=True)
    assert dataset.classes == ("airplanes", "ak47", "zebra")
    assert dataset.rows == (
        "001.ak47/001_0001.jpg",
        "250.zebra/250_0002.jpg",
        "251.airplanes-101/251_0001.jpg",
    )
    assert dataset.labels.tolist() == [1, 2, 0]


def test_caltech101_is_found_wherever_its_archive_was_unpacked(root: Path) -> None:
    folder = caltech101_tree(root)
    expected = caltech101(root).fingerprint
    for number, path in enumerate(
        (
            "caltech-101/101_ObjectCategories",
            "101_ObjectCategories",
            "101_ObjectCategories/101_ObjectCategories",
            "caltech101/101_ObjectCategories/101_ObjectCategories",
            "",
        )
    ):
        other = root.parent / f"other{number}"
        shutil.copytree(folder, other / path)
        assert caltech101(other).fingerprint == expected
