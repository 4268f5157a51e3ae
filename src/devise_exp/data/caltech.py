"""Published datasets of class folders, each as an ImageDataset in the layout of its archive.

Train and test parts are joined: seen and unseen classes, and the rows of each, are split later.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
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
LISTED_ROW = re.compile(r"(.+)/image_(\d{4})\.jpg")


CALTECH101 = DatasetSource(
    "caltech101",
    "caltech101/101_ObjectCategories/<class>/image_0001.jpg",
    "caltech-101.zip of data.caltech.edu/records/mzrjq-6wc02",
)
CALTECH256 = DatasetSource(
    "caltech256",
    "caltech256/256_ObjectCategories/<001.class>/001_0001.jpg",
    "256_ObjectCategories.tar of data.caltech.edu/records/nyy15-4j048",
)


def caltech101(
    root: str | Path | None = None, download: bool = False, strict: bool = False
) -> ImageDataset:
    """Caltech-101 (Fei-Fei et al. 2004), without BACKGROUND_Google: 8,677 pictures, 101 classes.

    Without `root` the pictures are not at hand (images is None): classes, rows and fingerprint come
    from the listing of the published pictures. `root` holds caltech101/, or is that folder, or is
    101_ObjectCategories. Faces and Faces_easy show the same photographs; both stay classes here.
    """
    if root is None:
        if download:
            raise InputError("caltech101: set data.root to the folder to download the pictures to")
        shipped = resources.files("devise_exp.data").joinpath("assets/caltech101_listing.json")
        return dataset_from_listing("caltech101", json.loads(shipped.read_text(encoding="utf-8")))
    return _caltech(CALTECH101, root, download, strict)


def caltech256(root: str | Path, download: bool = False, strict: bool = False) -> ImageDataset:
    """Caltech-256 (Griffin et al. 2007) without 257.clutter; the class of 003.backpack is backpack.

    The "-101" that marks a class taken over from Caltech-101 is no part of the class name either.
    """
    return _caltech(CALTECH256, root, download, strict)


def _caltech(
    published: DatasetSource, root: str | Path, download: bool, strict: bool
) -> ImageDataset:
    place = Path(root).expanduser()
    above, last = Path(published.layout).parts[:2]
    places = [place / above / last, place / last, place]
    folder = next((each for each in places if each.name == last and each.is_dir()), places[0])
    if download and not folder.is_dir():
        import torchvision.datasets

        kind = getattr(torchvision.datasets, published.name.capitalize())
        published.open_dataset(kind, place, download=True)
    listed, notes = class_folders(folder, CALTECH_FILE) if folder.is_dir() else ([], [])
    pictures = [
        picture._replace(class_name=CALTECH_NUMBER.sub("", picture.class_name))
        for picture in listed
        if picture.class_name not in CALTECH_CLUTTER
    ]
    if not pictures:
        raise published.missing_error(place)
    return dataset_from_images(published.name, pictures, strict, notes)


def dataset_listing(dataset: ImageDataset) -> dict[str, Any]:
    """The classes, rows and fingerprint of `dataset`, whose rows are <class>/image_<4 digits>.jpg.

    {"fingerprint": hash, "classes": {"okapi": "1-20,22-40", ...}}: see dataset_from_listing.
    Raises InputError for rows of another form.
    """
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in dataset.rows:
        parts = LISTED_ROW.fullmatch(row)
        if parts is None:
            raise InputError(
                f"{dataset.name}: {row} is not <class>/image_<4 digits>.jpg: no listing"
            )
        numbers[parts[1]].append(int(parts[2]))
    ranges = {}
    for class_name in sorted(numbers):
        runs: list[list[int]] = []
        for number in sorted(numbers[class_name]):
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        ranges[class_name] = ",".join(f"{first}-{last}" for first, last in runs)
    return {"fingerprint": dataset.fingerprint, "classes": ranges}


def dataset_from_listing(name: str, content: dict[str, Any]) -> ImageDataset:
    """The dataset of a listing; its pictures are not at hand."""
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
