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
    "imagenet",
    "{train,val}/<wnid>/*.JPEG",
    "the 2012 pictures from image-net.org, which asks for an account: they cannot be downloaded "
    "from here, and torchvision.datasets.ImageNet sorts the archives into this layout",
    downloadable=False,
)
TINY_IMAGENET = DatasetSource(
    "tiny_imagenet200",
    "tiny-imagenet-200/{wnids.txt,words.txt,train,val}",
    "tiny-imagenet-200.zip of cs231n.stanford.edu",
    downloadable=False,
)


def imagenet(root: str | Path, strict: bool = False) -> ImageDataset:
    """ImageNet (Russakovsky et al. 2015), or some classes of it: ROOT/{train,val}/<wnid>/*.JPEG.

    Either part may be missing. A class of ILSVRC-2012 has the name it has in torchvision's weights,
    any other its WordNet lemmas; a name that two wnids share is followed by the wnid.
    """
    place = Path(root).expanduser()
    pictures: list[ImageEntry] = []
    notes: list[str] = []
    for part in (place / "train", place / "val"):
        if part.is_dir():
            found, empty = class_folders(part)
            pictures += found
            notes += empty
            if not found and any(part.glob("*.JPEG")):
                raise InputError(
                    f"imagenet: the pictures of {part} are not sorted into <wnid> folders: "
                    "torchvision.datasets.ImageNet does that, given the devkit archive"
                )
    if not pictures:
        raise IMAGENET.missing_error(place)
    names = _imagenet_names({picture.class_name for picture in pictures}, place)
    named = (picture._replace(class_name=names[picture.class_name]) for picture in pictures)
    return dataset_from_images("imagenet", named, strict, notes)


def _imagenet_names(wnids: set[str], root: Path) -> dict[str, str]:
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
    return _told_apart({wnid: lemmas[wnid] for wnid in wnids})


def _told_apart(names: dict[str, str]) -> dict[str, str]:
    """`names` (wnid -> class name) with the wnid after each name that is not the only one."""
    count = Counter(names.values())
    return {wnid: f"{name} ({wnid})" if count[name] > 1 else name for wnid, name in names.items()}


def tiny_imagenet200(root: str | Path, strict: bool = False) -> ImageDataset:
    """Tiny ImageNet (Stanford CS231n): 200 classes, 64 × 64; training and validation pictures.

    A class name is the line of words.txt as it is, such as "goldfish, Carassius auratus".
    """
    given = Path(root).expanduser()
    place = given if given.name == "tiny-imagenet-200" else given / "tiny-imagenet-200"
    try:
        wnids = (place / "wnids.txt").read_text(encoding="utf-8").split()
        words = (place / "words.txt").read_text(encoding="utf-8").splitlines()
        annotated = (place / "val/val_annotations.txt").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TINY_IMAGENET.missing_error(
            given, f"{Path(error.filename).name} not found"
        ) from error
    glosses = dict(line.split("\t", 1) for line in words if "\t" in line)
    # A line is: file, wnid and the four sides of a box.
    validation = [line.split("\t")[:2] for line in annotated if line.count("\t")]
    strange = sorted({*wnids, *(wnid for _, wnid in validation)} - glosses.keys())
    if strange or not wnids:
        wrong = f"{strange[0]} is not in words.txt" if strange else "wnids.txt is empty"
        raise InputError(f"tiny_imagenet200: {place}: {wrong}; get {TINY_IMAGENET.source} again")
    names = _told_apart({wnid: glosses[wnid] for wnid in wnids})
    listed, notes = class_folders(place / "train", re.compile(r"images/.+\.JPEG"))
    pictures = [p._replace(class_name=names[p.class_name]) for p in listed if p.class_name in names]
    pictures += [
        ImageEntry(names[wnid], f"{wnid}/{file}", str(place / "val/images" / file))
        for file, wnid in validation
        if wnid in names
    ]
    return dataset_from_images("tiny_imagenet200", pictures, strict, notes)
