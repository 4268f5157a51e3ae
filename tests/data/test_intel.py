"""Intel Image Classification in small."""

from __future__ import annotations

from pathlib import Path

from helpers.published_sets import image
from PIL import Image

from devise_exp.data.intel import intel_scenes


def test_intel_scenes_joins_its_parts_and_leaves_unsorted_images_alone(root: Path) -> None:
    for name in (
        "seg_train/seg_train/sea/1.jpg",
        "seg_train/seg_train/glacier/2.jpg",
        "seg_test/seg_test/sea/1.jpg",  # a name of the other part
        "seg_pred/seg_pred/5.jpg",
    ):
        image(root / name, len(name))
    (root / "seg_test/seg_test/street").mkdir()
    dataset = intel_scenes(root, strict=True)
    assert dataset.classes == ("glacier", "sea")
    assert dataset.rows == (
        "glacier/seg_train/2.jpg",
        "sea/seg_test/1.jpg",
        "sea/seg_train/1.jpg",
    )
    assert dataset.labels.tolist() == [0, 1, 1]
    assert dataset.skipped == ("street: no images in this class folder",)
    assert dataset.images is not None
    test_part = Image.open(root / "seg_test/seg_test/sea/1.jpg").convert("RGB")
    assert dataset.images[1].tobytes() == test_part.tobytes()


def test_intel_scenes_may_lie_in_folders_that_are_not_doubled(root: Path) -> None:
    for start in (root / "doubled/seg_train/seg_train", root / "single/seg_train"):
        image(start / "sea/1.jpg", 1)
        image(start / "glacier/2.jpg", 2)
    doubled, single = intel_scenes(root / "doubled"), intel_scenes(root / "single")
    assert single.rows == doubled.rows
    assert single.fingerprint == doubled.fingerprint
