"""ImageNet and Tiny ImageNet, whose folders are WordNet ids; training and validation joined."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, ImageEntry, dataset_from_images
from devise_exp.data.folders import class_folders
from devise_exp.data.sources import DatasetSource

IMAGENET = DatasetSource(
    name="imagenet",
    layout="{train,val}/<wnid>/*.JPEG",
    source="the 2012 images from image-net.org, which asks for an account: they cannot be "
    "downloaded from here, and torchvision.datasets.ImageNet sorts the archives into this layout",
    downloadable=False,
)
TINY_IMAGENET = DatasetSource(
    name="tiny_imagenet200",
    layout="tiny-imagenet-200/{wnids.txt,words.txt,train,val}",
    source="tiny-imagenet-200.zip of cs231n.stanford.edu",
    downloadable=False,
)
_ABOVE = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC")  # as the archives unpack
_WNID = re.compile(r"n\d{8}")
_TINY_FILE = re.compile(r"(images/)?[^/]+\.JPEG")


def imagenet(root: str | Path, strict: bool = False) -> ImageDataset:
    """ImageNet (Russakovsky et al. 2015), or some classes of it.

    A class of ILSVRC-2012 is named as in torchvision's weights, any other by its WordNet lemmas; a
    name that two wnids share is followed by the wnid.

    Args:
        root: The folder that holds train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, or one of the two.
        strict: Whether a broken image is an error instead of skipped.

    Returns:
        The dataset, training and validation images joined.

    Raises:
        InputError: If there are no images, or not in folders that are WordNet ids.
    """
    root = Path(root).expanduser()
    above = next((root / path for path in _ABOVE if (root / path / "train").is_dir()), root)
    images: list[ImageEntry] = []
    notes: list[str] = []
    for part in (above / "train", above / "val"):
        if part.is_dir():
            listed, empty = class_folders(part)
            images += listed
            notes += empty
            if not listed and any(part.glob("*.JPEG")):
                raise InputError(
                    f"imagenet: the images of {part} are not sorted into <wnid> folders: "
                    "torchvision.datasets.ImageNet does that, given the devkit archive"
                )
    if not images:
        raise IMAGENET.missing_error(root)
    names = _imagenet_names({image.class_name for image in images}, root)
    named = (image._replace(class_name=names[image.class_name]) for image in images)
    return dataset_from_images("imagenet", named, strict, notes)


def _imagenet_names(wnids: set[str], root: Path) -> dict[str, str]:
    """Name the classes of WordNet ids."""
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    lemmas = ImageNetInfo("imagenet-21k").label_descriptions(as_dict=True)
    categories = ResNet18_Weights.DEFAULT.meta["categories"]  # in the order of the sorted wnids
    lemmas |= dict(zip(sorted(ImageNetInfo().label_names()), categories, strict=True))
    strange = sorted(wnids - lemmas.keys())
    if strange:
        raise InputError(
            f"imagenet: {strange[0]} in {root} is not a WordNet id of ImageNet "
            f"({len(strange)} such folders): rename or move them, "
            "or read the folder with data=image_folder"
        )
    return _distinct_names({wnid: lemmas[wnid] for wnid in wnids})


def _distinct_names(names: dict[str, str]) -> dict[str, str]:
    """Append the wnid to a class name that several wnids share; names: wnid -> class name."""
    count = Counter(names.values())
    return {wnid: f"{name} ({wnid})" if count[name] > 1 else name for wnid, name in names.items()}


def tiny_imagenet200(root: str | Path, strict: bool = False) -> ImageDataset:
    """Tiny ImageNet (Stanford CS231n): 200 classes of images of 64 × 64.

    A class name is the line of words.txt, such as "goldfish, Carassius auratus".

    Args:
        root: The folder that holds tiny-imagenet-200/, or that folder.
        strict: Whether a broken image is an error instead of skipped.

    Returns:
        The dataset, training and validation images joined.

    Raises:
        InputError: If files are missing or name unknown classes.
    """
    root = Path(root).expanduser()
    named = root.name == "tiny-imagenet-200" or (root / "wnids.txt").is_file()
    folder = root if named else root / "tiny-imagenet-200"
    try:
        wnids = (folder / "wnids.txt").read_text(encoding="utf-8-sig").split()
        words = (folder / "words.txt").read_text(encoding="utf-8-sig").splitlines()
        validation = _tiny_validation(folder)
    except OSError as error:
        raise TINY_IMAGENET.missing_error(root, f"{Path(error.filename).name} not found") from error
    glosses = dict(line.split("\t", 1) for line in words if "\t" in line)
    strange = sorted({*wnids, *(wnid for wnid, _ in validation.values())} - glosses.keys())
    if strange or not wnids:
        wrong = f"{strange[0]} is not in words.txt" if strange else "wnids.txt is empty"
        raise InputError(f"tiny_imagenet200: {folder}: {wrong}; get {TINY_IMAGENET.source} again")
    names = _distinct_names({wnid: glosses[wnid] for wnid in wnids})
    listed, notes = _tiny_folders(folder / "train")
    images = [i._replace(class_name=names[i.class_name]) for i in listed if i.class_name in names]
    images += [
        ImageEntry(names[wnid], f"{wnid}/{file}", path)
        for file, (wnid, path) in validation.items()
        if wnid in names
    ]
    notes = [
        *notes,
        *_unlisted({i.class_name for i in listed}, {i.class_name for i in images}, names),
    ]
    return dataset_from_images("tiny_imagenet200", images, strict, notes)


def _tiny_folders(part: Path) -> tuple[list[ImageEntry], list[str]]:
    """List <wnid>/images/*.JPEG as published, or <wnid>/*.JPEG; the rows are those as published."""
    if not part.is_dir():
        return [], []
    listed, notes = class_folders(part, _TINY_FILE)
    images = []
    for image in listed:
        if _WNID.fullmatch(image.class_name):
            row = f"{image.class_name}/images/{Path(image.path).name}"
            images.append(image._replace(row=row))
    return images, notes


def _tiny_validation(folder: Path) -> dict[str, tuple[str, str]]:
    """Find the validation images: file name -> wnid and path, sorted into class folders or not."""
    listed, _ = _tiny_folders(folder / "val")
    images = {Path(image.path).name: (image.class_name, image.path) for image in listed}
    file = folder / "val/val_annotations.txt"
    if images and not file.is_file():
        return images
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        name, *fields = line.split("\t")  # its wnid, and the four sides of a box
        if fields:
            images.setdefault(name, (fields[0], str(folder / "val/images" / name)))
    return images


def _unlisted(folders: set[str], classes: set[str], names: dict[str, str]) -> list[str]:
    """Name the folders that wnids.txt lacks, and its classes that have no image."""
    extra = (f"train/{wnid}: wnids.txt does not list this class" for wnid in folders - names.keys())
    lost = (
        f"{wnid} ({n}): listed, but without images" for wnid, n in names.items() if n not in classes
    )
    return [*sorted(extra), *sorted(lost)]
