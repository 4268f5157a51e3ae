"""Published datasets in the layout torchvision unpacks them to, each as an ImageDataset.

Train and test parts are joined: seen and unseen classes, and the rows of each, are split later.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException
from importlib import resources
from pathlib import Path
from tarfile import TarError
from typing import Any
from zipfile import BadZipFile

import numpy as np

from devise_exp.datasets import ImageDataset, Picture, class_folders, from_pictures
from devise_exp.errors import InputError
from devise_exp.pictures import PictureArrays, fingerprint_of

CALTECH_FILE = re.compile(r"(image|\d{3})_\d{4}\.jpg")  # the archives hold a few strays
CALTECH_NUMBER = re.compile(r"^\d{3}\.|-101$")
CALTECH_CLUTTER = {"BACKGROUND_Google", "257.clutter"}
FAILED = (OSError, RuntimeError, ValueError, EOFError, HTTPException, TarError, BadZipFile)
LISTED_ROW = re.compile(r"(.+)/image_(\d{4})\.jpg")


@dataclass(frozen=True)
class _Published:
    """What a person must have: layout below data.root, and where its authors publish it."""

    name: str
    layout: str
    source: str
    downloadable: bool = True

    def missing(self, root: Path, found: str = "not found") -> InputError:
        ask = ", or give data.download=true" if self.downloadable else ""
        return InputError(
            f"{self.name}: {found} under {root}: expected {root / self.layout}; "
            f"get {self.source}{ask}"
        )

    def opened(self, kind: Callable[..., Any], root: Path, download: bool, **options: Any) -> Any:
        """torchvision's dataset at `root`, downloaded first if asked for.

        Raises InputError naming the layout where nothing usable is there, and what to get where the
        download fails.
        """
        try:
            return kind(str(root), download=download, **options)
        except FAILED as error:
            if not download:
                raise self.missing(root, "not found or damaged") from error
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.name}: the download failed ({reason}): get {self.source} by other means "
                f"and unpack it to {root / self.layout}"
            ) from error


CALTECH101 = _Published(
    "caltech101",
    "caltech101/101_ObjectCategories/<class>/image_0001.jpg",
    "caltech-101.zip of data.caltech.edu/records/mzrjq-6wc02",
)
CALTECH256 = _Published(
    "caltech256",
    "caltech256/256_ObjectCategories/<001.class>/001_0001.jpg",
    "256_ObjectCategories.tar of data.caltech.edu/records/nyy15-4j048",
)
CIFAR100 = _Published(
    "cifar100",
    "cifar-100-python/{train,test,meta}",
    "cifar-100-python.tar.gz of www.cs.toronto.edu/~kriz/cifar.html",
)
FOOD101 = _Published(
    "food101",
    "food-101/{images/<class>/*.jpg,meta/train.json,meta/test.json}",
    "food-101.tar.gz of data.vision.ee.ethz.ch/cvl",
)
FLOWERS102 = _Published(
    "flowers102",
    "flowers-102/{jpg/image_00001.jpg,imagelabels.mat,setid.mat}",
    "102flowers.tgz, imagelabels.mat and setid.mat of www.robots.ox.ac.uk/~vgg/data/flowers/102",
)
IMAGENET = _Published(
    "imagenet",
    "{train,val}/<wnid>/*.JPEG",
    "the 2012 pictures from image-net.org, which asks for an account: they cannot be downloaded "
    "from here, and torchvision.datasets.ImageNet sorts the archives into this layout",
    downloadable=False,
)
TINY_IMAGENET = _Published(
    "tiny_imagenet200",
    "tiny-imagenet-200/{wnids.txt,words.txt,train,val}",
    "tiny-imagenet-200.zip of cs231n.stanford.edu",
    downloadable=False,
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
        shipped = resources.files("devise_exp").joinpath("assets/caltech101_listing.json")
        return from_listing("caltech101", json.loads(shipped.read_text(encoding="utf-8")))
    return _caltech(CALTECH101, root, download, strict)


def caltech256(root: str | Path, download: bool = False, strict: bool = False) -> ImageDataset:
    """Caltech-256 (Griffin et al. 2007) without 257.clutter; the class of 003.backpack is backpack.

    The "-101" that marks a class taken over from Caltech-101 is no part of the class name either.
    """
    return _caltech(CALTECH256, root, download, strict)


def _caltech(published: _Published, root: str | Path, download: bool, strict: bool) -> ImageDataset:
    place = Path(root).expanduser()
    above, last = Path(published.layout).parts[:2]
    places = [place / above / last, place / last, place]
    folder = next((each for each in places if each.name == last and each.is_dir()), places[0])
    if download and not folder.is_dir():
        import torchvision.datasets

        kind = getattr(torchvision.datasets, published.name.capitalize())
        published.opened(kind, place, download=True)
    listed, notes = class_folders(folder, CALTECH_FILE) if folder.is_dir() else ([], [])
    pictures = [
        picture._replace(class_name=CALTECH_NUMBER.sub("", picture.class_name))
        for picture in listed
        if picture.class_name not in CALTECH_CLUTTER
    ]
    if not pictures:
        raise published.missing(place)
    return from_pictures(published.name, pictures, strict, notes)


def listing(dataset: ImageDataset) -> dict[str, Any]:
    """The classes, rows and fingerprint of `dataset`, whose rows are <class>/image_<4 digits>.jpg.

    {"fingerprint": hash, "classes": {"okapi": "1-20,22-40", ...}}: the inverse of from_listing.
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


def from_listing(name: str, content: dict[str, Any]) -> ImageDataset:
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


def cifar100(root: str | Path, download: bool = False) -> ImageDataset:
    """CIFAR-100 (Krizhevsky 2009), its 100 fine classes: 60,000 pictures of 32 × 32, in memory."""
    import torchvision.datasets

    place = Path(root).expanduser()
    arrays, rows, names = [], [], []
    for part, train in (("train", True), ("test", False)):
        data = CIFAR100.opened(torchvision.datasets.CIFAR100, place, download, train=train)
        arrays.append(data.data)  # (n, 32, 32, 3) uint8
        names += [data.classes[target] for target in data.targets]
        rows += [
            f"{data.classes[target]}/{part}_{index:05d}"
            for index, target in enumerate(data.targets)
        ]
    pictures = np.concatenate(arrays)
    order = sorted(range(len(rows)), key=rows.__getitem__)
    rows, pictures = [rows[index] for index in order], pictures[order]
    classes, labels = np.unique([names[index] for index in order], return_inverse=True)
    contents = (hashlib.blake2b(each.tobytes(), digest_size=16).digest() for each in pictures)
    return ImageDataset(
        name="cifar100",
        classes=tuple(classes.tolist()),
        labels=labels.astype(np.int64),
        rows=tuple(rows),
        fingerprint=fingerprint_of(zip(rows, contents, strict=True)),
        images=PictureArrays(pictures),
    )


def food101(root: str | Path, download: bool = False, strict: bool = False) -> ImageDataset:
    """Food-101 (Bossard et al. 2014): 101,000 pictures in 101 classes."""
    from torchvision.datasets import Food101

    parts = [
        FOOD101.opened(Food101, Path(root).expanduser(), download, split=split)
        for split in ("train", "test")
    ]
    return _from_lists("food101", parts, strict)


def flowers102(root: str | Path, download: bool = False, strict: bool = False) -> ImageDataset:
    """Oxford 102 Flower (Nilsback and Zisserman 2008): 8,189 pictures in 102 classes."""
    from torchvision.datasets import Flowers102

    parts = [
        FLOWERS102.opened(Flowers102, Path(root).expanduser(), download, split=split)
        for split in ("train", "val", "test")
    ]
    return _from_lists("flowers102", parts, strict)


def _from_lists(name: str, parts: Iterable[Any], strict: bool) -> ImageDataset:
    """Join torchvision's datasets that list their files; a file listed but not there is broken."""
    pictures = [
        Picture(part.classes[label], f"{part.classes[label]}/{path.name}", str(path))
        for part in parts
        for path, label in zip(part._image_files, part._labels, strict=True)
    ]
    return from_pictures(name, pictures, strict)


def imagenet(root: str | Path, strict: bool = False) -> ImageDataset:
    """ImageNet (Russakovsky et al. 2015), or some classes of it: ROOT/{train,val}/<wnid>/*.JPEG.

    Either part may be missing. A class of ILSVRC-2012 has the name it has in torchvision's weights,
    any other its WordNet lemmas; a name that two wnids share is followed by the wnid.
    """
    place = Path(root).expanduser()
    pictures: list[Picture] = []
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
        raise IMAGENET.missing(place)
    names = _imagenet_names({picture.class_name for picture in pictures}, place)
    named = (picture._replace(class_name=names[picture.class_name]) for picture in pictures)
    return from_pictures("imagenet", named, strict, notes)


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
        raise TINY_IMAGENET.missing(given, f"{Path(error.filename).name} not found") from error
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
        Picture(names[wnid], f"{wnid}/{file}", str(place / "val/images" / file))
        for file, wnid in validation
        if wnid in names
    ]
    return from_pictures("tiny_imagenet200", pictures, strict, notes)
