"""Intel's natural scenes, in the layout in which they are published."""

from __future__ import annotations

from pathlib import Path

from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.folders import class_folders
from devise_exp.data.sources import DatasetSource

INTEL_SCENES = DatasetSource(
    name="intel_scenes",
    layout="{seg_train/seg_train,seg_test/seg_test}/<class>/*.jpg",
    source="intel-image-classification by puneet6060 of kaggle.com",
    downloadable=False,
)


def intel_scenes(root: str | Path, strict: bool = False) -> ImageDataset:
    """Intel Image Classification (2018): 17,034 images of 150 × 150 in six classes of scenes.

    Args:
        root: The folder that holds seg_train/ and seg_test/, doubled or not; one of them may be
            missing. seg_pred/ has no classes and is ignored.
        strict: Whether a broken image is an error instead of skipped.

    Returns:
        The dataset, both parts joined.
    """
    root = Path(root).expanduser()
    images: list[ImageEntry] = []
    notes: list[str] = []
    for part in ("seg_train", "seg_test"):
        folder = root / part / part
        folder = folder if folder.is_dir() else root / part  # without the doubled folder
        if folder.is_dir():
            listed, empty = class_folders(folder)
            # Both parts may have a file of the same name.
            images += (i._replace(row=i.row.replace("/", f"/{part}/", 1)) for i in listed)
            notes += empty
    if not images:
        raise INTEL_SCENES.missing_error(root)
    return dataset_from_images("intel_scenes", images, strict, notes)
