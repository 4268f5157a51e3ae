"""Published datasets that torchvision reads, each as an ImageDataset; their parts are joined."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.files import fingerprint
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.folders import class_folders
from devise_exp.data.images import ImageArrays
from devise_exp.data.perceptual_hash import looks_of_grey
from devise_exp.data.scan import images_fingerprint
from devise_exp.data.sources import DatasetSource

CIFAR100 = DatasetSource(
    name="cifar100",
    layout="cifar-100-python/{train,test,meta}",
    source="cifar-100-python.tar.gz of www.cs.toronto.edu/~kriz/cifar.html",
)
FOOD101 = DatasetSource(
    name="food101",
    layout="food-101/{images/<class>/*.jpg,meta/train.json,meta/test.json}",
    source="food-101.tar.gz of data.vision.ee.ethz.ch/cvl",
)
FLOWERS102 = DatasetSource(
    name="flowers102",
    layout="flowers-102/{jpg/image_00001.jpg,imagelabels.mat,setid.mat}",
    source="102flowers.tgz, imagelabels.mat and setid.mat of "
    "www.robots.ox.ac.uk/~vgg/data/flowers/102",
)


def cifar100(root: str | Path, download: bool = False) -> ImageDataset:
    """CIFAR-100 (Krizhevsky 2009), its 100 fine classes: 60,000 images of 32 × 32, in memory.

    Args:
        root: The folder that holds cifar-100-python/.
        download: Whether to fetch the images to `root` if they are not there.

    Returns:
        The dataset, training and test images joined.
    """
    root = Path(root).expanduser()
    CIFAR100.check_folder(root, download)
    import torchvision.datasets  # late: a wrong root needs no torch

    arrays, rows, names = [], [], []
    for part, train in (("train", True), ("test", False)):
        data = CIFAR100.open_dataset(torchvision.datasets.CIFAR100, root, download, train=train)
        arrays.append(data.data)  # (n, 32, 32, 3) uint8
        names += [data.classes[target] for target in data.targets]
        rows += [
            f"{data.classes[target]}/{part}_{index:05d}"
            for index, target in enumerate(data.targets)
        ]
    images = np.concatenate(arrays)
    order = sorted(range(len(rows)), key=rows.__getitem__)
    rows, images = [rows[index] for index in order], images[order]
    classes, labels = np.unique([names[index] for index in order], return_inverse=True)
    contents = tuple(fingerprint(image.tobytes()) for image in images)
    return ImageDataset(
        name="cifar100",
        classes=tuple(classes.tolist()),
        labels=labels.astype(np.int64),
        rows=tuple(rows),
        fingerprint=images_fingerprint(zip(rows, map(bytes.fromhex, contents), strict=True)),
        images=ImageArrays(images),
        contents=contents,
        looks=_looks(images),
    )


def _looks(images: np.ndarray) -> np.ndarray:
    """How (N, 32, 32, 3) images look, a block at a time."""
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    blocks = np.array_split(images, max(1, len(images) // 4096))
    return np.concatenate([looks_of_grey(block @ luma) for block in blocks])


def food101(root: str | Path, download: bool = False, strict: bool = False) -> ImageDataset:
    """Food-101 (Bossard et al. 2014): 101,000 images in 101 classes.

    Args:
        root: The folder that holds food-101/, with its lists in meta/ or sorted into class folders:
            food-101/images/<class>/ or food-101/{train,test}/<class>/.
        download: Whether to fetch the images to `root` if they are not there.
        strict: Whether a broken image is an error instead of skipped.

    Returns:
        The dataset, training and test images joined.
    """
    FOOD101.check_folder(Path(root).expanduser(), download)
    from torchvision.datasets import Food101  # late: a wrong root needs no torch

    base = Path(root).expanduser() / "food-101"
    if not download and not (base / "meta").is_dir():
        images = _from_folders(base, ("images", "train", "test"))
        if images:
            return dataset_from_images("food101", images, strict)
    parts = [
        FOOD101.open_dataset(Food101, Path(root).expanduser(), download, split=split)
        for split in ("train", "test")
    ]
    return _from_lists("food101", parts, strict)


def flowers102(root: str | Path, download: bool = False, strict: bool = False) -> ImageDataset:
    """Oxford 102 Flower (Nilsback and Zisserman 2008): 8,189 images in 102 classes.

    Args:
        root: The folder that holds flowers-102/, as published or sorted into the numbers of the
            classes: flowers-102/{train,valid,test}/<1 to 102>/.
        download: Whether to fetch the images to `root` if they are not there.
        strict: Whether a broken image is an error instead of skipped.

    Returns:
        The dataset, training, validation and test images joined.
    """
    FLOWERS102.check_folder(Path(root).expanduser(), download)
    from torchvision.datasets import Flowers102  # late: a wrong root needs no torch

    base = Path(root).expanduser() / "flowers-102"
    if not download and not (base / "jpg").is_dir():
        images = [
            ImageEntry(name, f"{name}/{Path(image.path).name}", image.path)
            for image in _from_folders(base, ("train", "valid", "val", "test"))
            if image.class_name.isdecimal() and 0 < int(image.class_name) <= 102
            for name in (Flowers102.classes[int(image.class_name) - 1],)
        ]
        if images:
            return dataset_from_images("flowers102", images, strict)
    parts = [
        FLOWERS102.open_dataset(Flowers102, Path(root).expanduser(), download, split=split)
        for split in ("train", "val", "test")
    ]
    return _from_lists("flowers102", parts, strict)


def _from_folders(base: Path, parts: Iterable[str]) -> list[ImageEntry]:
    """List the images of BASE/PART/<class>/*, as some sort a set, by <class>/<image>."""
    folders = [base / part for part in parts if (base / part).is_dir()]
    return [image for folder in folders for image in class_folders(folder)[0]]


def _from_lists(name: str, parts: Iterable[Any], strict: bool) -> ImageDataset:
    """Join torchvision's datasets that list their files; a missing file is a broken image."""
    images = [
        ImageEntry(part.classes[label], f"{part.classes[label]}/{path.name}", str(path))
        for part in parts
        for path, label in zip(part._image_files, part._labels, strict=True)
    ]
    return dataset_from_images(name, images, strict)
