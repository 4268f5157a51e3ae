"""Caltech-101 and Caltech-256 in the layout of their archives, and listings of their rows."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, dataset_from_images
from devise_exp.data.folders import class_folders
from devise_exp.data.sources import DatasetSource

CALTECH_FILE = re.compile(r"(image|\d{3})_\d{4}\.jpg")  # the archives hold a few strays
CALTECH_NUMBER = re.compile(r"^\d{3}\.|-101$")
CALTECH_CLUTTER = {"BACKGROUND_Google", "257.clutter"}

CALTECH101 = DatasetSource(
    name="caltech101",
    layout="caltech101/101_ObjectCategories/<class>/image_0001.jpg",
    source="caltech-101.zip of data.caltech.edu/records/mzrjq-6wc02",
)
CALTECH256 = DatasetSource(
    name="caltech256",
    layout="caltech256/256_ObjectCategories/<001.class>/001_0001.jpg",
    source="256_ObjectCategories.tar of data.caltech.edu/records/nyy15-4j048",
)


def caltech101(
    root: str | Path | None = None, download: bool = False, strict: bool = False
) -> ImageDataset:
    """Caltech-101 (Fei-Fei et al. 2004), without BACKGROUND_Google: 8,677 images, 101 classes.

    Faces and Faces_easy show the same photographs; both stay classes here.

    Args:
        root: The folder that holds caltech101/, or that folder, or that of the classes. None: no
            images; classes, rows and fingerprint come from the listing of the published images.
        download: Whether to fetch the images to `root` if they are not there.
        strict: Whether a broken image is an error instead of skipped.

    Returns:
        The dataset; `images` is None without `root`.

    Raises:
        InputError: If there are no images at `root`, or one is broken with `strict`.
    """
    if root is None:
        if download:
            raise InputError("caltech101: set data.root to the folder to download the images to")
        shipped = resources.files("devise_exp.data").joinpath("assets/caltech101_listing.json")
        return dataset_from_listing("caltech101", json.loads(shipped.read_text(encoding="utf-8")))
    return _caltech(CALTECH101, root, download, strict)


def caltech256(root: str | Path, download: bool = False, strict: bool = False) -> ImageDataset:
    """Caltech-256 (Griffin et al. 2007), without 257.clutter.

    Class names are without number and mark: the class of 003.backpack is backpack, and "-101" marks
    a class that is taken over from Caltech-101.

    Args:
        root: The folder that holds caltech256/, or that folder, or that of the classes.
        download: Whether to fetch the images to `root` if they are not there.
        strict: Whether a broken image is an error instead of skipped.

    Returns:
        The dataset.
    """
    return _caltech(CALTECH256, root, download, strict)


def _caltech(
    published: DatasetSource, root: str | Path, download: bool, strict: bool
) -> ImageDataset:
    """Read the class folders of one of the two archives."""
    root = Path(root).expanduser()
    above, last = Path(published.layout).parts[:2]
    folder = _archive_folder(root, above, last)
    if download and not folder.is_dir():
        import torchvision.datasets

        kind = getattr(torchvision.datasets, published.name.capitalize())
        published.open_dataset(kind, root, download=True)
    listed, notes = class_folders(folder, CALTECH_FILE) if folder.is_dir() else ([], [])
    images = [
        image._replace(class_name=CALTECH_NUMBER.sub("", image.class_name))
        for image in listed
        if image.class_name not in CALTECH_CLUTTER
    ]
    if not images:
        raise published.missing_error(root)
    return dataset_from_images(published.name, images, strict, notes)


def _archive_folder(root: Path, above: str, last: str) -> Path:
    """Find the folder of class folders, wherever the archive was unpacked."""
    folders = [root / above / last, root / "caltech-101" / last, root / last, root]
    for folder in folders:
        for path in (folder / last, folder):  # some tools unpack an archive into its name
            if path.name == last and path.is_dir():
                return path
    if root.is_dir() and class_folders(root, CALTECH_FILE)[0]:
        return root
    return folders[0]


def dataset_from_listing(name: str, content: dict[str, Any]) -> ImageDataset:
    """Make the dataset of a listing, without images.

    Args:
        name: The name of the dataset.
        content: {"fingerprint": hash, "classes": {"okapi": "1-20,22-40", ...}}; the numbers are
            those of rows such as okapi/image_0001.jpg.

    Returns:
        The dataset; its `images` is None.
    """
    rows, labels = [], []
    for label, (class_name, ranges) in enumerate(sorted(content["classes"].items())):
        for run in ranges.split(","):
            first, last = map(int, run.split("-"))
            rows += [f"{class_name}/image_{number:04d}.jpg" for number in range(first, last + 1)]
            labels += [label] * (last + 1 - first)
    order = sorted(range(len(rows)), key=rows.__getitem__)
    return ImageDataset(
        name=name,
        classes=tuple(sorted(content["classes"])),
        labels=np.array(labels, dtype=np.int64)[order],
        rows=tuple(rows[index] for index in order),
        fingerprint=content["fingerprint"],
        images=None,
    )
