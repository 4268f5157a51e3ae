"""Intel's natural scenes, in the layout in which they are published."""

from __future__ import annotations

from pathlib import Path

from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.folders import class_folders
from devise_exp.data.sources import DatasetSource

INTEL_SCENES = DatasetSource(
    "intel_scenes",
    "{seg_train/seg_train,seg_test/seg_test}/<class>/*.jpg",
    "intel-image-classification by puneet6060 of kaggle.com",
    downloadable=False,
)


def intel_scenes(root: str | Path, strict: bool = False) -> ImageDataset:
    """Intel Image Classification (2018): 17,034 pictures of 150 × 150 in six classes of scenes.

    `root` holds seg_train/ and seg_test/; either may be missing, and seg_pred/, which has no
    classes, is left alone.
    """
    place = Path(root).expanduser()
    pictures: list[ImageEntry] = []
    notes: list[str] = []
    for part in ("seg_train", "seg_test"):
        folder = place / part / part
        if folder.is_dir():
            found, empty = class_folders(folder)
            # A file name alone might stand in both parts.
            pictures += (p._replace(row=p.row.replace("/", f"/{part}/", 1)) for p in found)
            notes += empty
    if not pictures:
        raise INTEL_SCENES.missing_error(place)
    return dataset_from_images("intel_scenes", pictures, strict, notes)
