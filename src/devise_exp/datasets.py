"""Image datasets: labelled pictures known by their content, and the reader of class folders."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from devise_exp.errors import InputError
from devise_exp.pictures import UNREADABLE, PictureArrays, PictureFiles, fingerprint_of, scan

# Only what people keep beside pictures; whatever else a class folder holds is tried as a picture.
# fmt: off
NOT_PICTURES = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log",
    ".ini", ".db", ".mat", ".npy", ".npz", ".pkl", ".h5", ".pt", ".pth", ".parquet", ".zip", ".tar",
    ".gz", ".tgz", ".7z", ".rar", ".py", ".sh", ".mp4", ".avi", ".mov", ".md5",
))
# fmt: on
SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing", "eval"}


class OwnFeatures(NamedTuple):
    """Features that come with the data: read() gives (N, feature_dim), row i for the dataset's row
    i, of the backbone of this name.
    """

    backbone: str
    read: Callable[[], np.ndarray]


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """N pictures in C classes.

    classes: the raw class names, sorted. labels: (N,) int64, indices into classes. rows: N unique
    row names, sorted by our constructors, the same on every machine and led by the class folder.
    fingerprint: hash over rows and file contents. images: N pictures opened when asked for, RGB;
    None where the pictures are not at hand. skipped: "path: reason" of what was left out. features:
    where the data brings its own.
    """

    name: str
    classes: tuple[str, ...] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    rows: tuple[str, ...] = field(repr=False)
    fingerprint: str
    images: Sequence[Image.Image] | None = field(repr=False)
    skipped: tuple[str, ...] = field(default=(), repr=False)
    features: OwnFeatures | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if list(self.classes) != sorted(set(self.classes)) or not self.classes:
            raise ValueError(f"{self.name}: classes must be one or more unique names, sorted")
        if self.labels.shape != (len(self.rows),) or self.labels.dtype != np.int64:
            raise ValueError(f"{self.name}: labels must be int64, one for each of the rows")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(f"{self.name}: a label lies outside the {len(self.classes)} classes")
        if len(set(self.rows)) != len(self.rows):
            raise ValueError(f"{self.name}: row names are not unique")
        if self.images is not None and len(self.images) != len(self.rows):
            raise ValueError(f"{self.name}: {len(self.images)} images for {len(self.rows)} rows")


class Picture(NamedTuple):
    """One picture that a dataset lists, before the scan has looked at it."""

    class_name: str
    row: str
    path: str


def from_pictures(
    name: str, pictures: Iterable[Picture], strict: bool, notes: Iterable[str] = ()
) -> ImageDataset:
    """Scan `pictures` and keep the good ones, sorted by row name; `notes` join what was skipped.

    Raises InputError when none is good, or with `strict` when any is broken.
    """
    listed: dict[str, Picture] = {}
    skipped = list(notes)
    for picture in pictures:
        # Two file names may differ in their Unicode form alone.
        if listed.setdefault(picture.row, picture) is not picture:
            skipped.append(f"{picture.row}: a second file of this name")
    found = scan({row: picture.path for row, picture in listed.items()})
    broken = [f"{row}: {reason}" for row, reason in found.broken.items()]
    good = [listed[row] for row in sorted(listed) if row not in found.broken]
    some = "; ".join(broken[:3]) + (" ..." if len(broken) > 3 else "")
    if strict and broken:
        raise InputError(
            f"{name}: {len(broken)} of {len(listed)} pictures are broken ({some}): "
            "mend or remove them, or leave them out with data.strict=false"
        )
    if not good:
        raise InputError(f"{name}: none of the {len(listed)} files is a good picture ({some})")
    classes = sorted({picture.class_name for picture in good})
    lost = {picture.class_name for picture in listed.values()} - set(classes)
    number = {class_name: index for index, class_name in enumerate(classes)}
    return ImageDataset(
        name=name,
        classes=tuple(classes),
        labels=np.array([number[picture.class_name] for picture in good], dtype=np.int64),
        rows=tuple(picture.row for picture in good),
        fingerprint=found.fingerprint,
        images=PictureFiles(picture.path for picture in good),
        skipped=(*skipped, *broken, *(f"{each}: no good picture" for each in sorted(lost))),
    )


def class_folders(
    root: Path, pattern: re.Pattern[str] | None = None
) -> tuple[list[Picture], list[str]]:
    """The pictures of ROOT/<class>/**/<picture> and a note for each class folder without any.

    Names with a leading dot are hidden. With `pattern`, only files count whose whole path below the
    class folder matches it. Row names are relative to root, in Unicode's composed form.
    """
    pictures: list[Picture] = []
    notes: list[str] = []
    for folder in sorted(root.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        class_name = portable(folder.name)
        files = files_below(folder, notes)
        if pattern is not None:
            files = [file for file in files if pattern.fullmatch(file)]
        if not files:
            notes.append(f"{class_name}: no pictures in this class folder")
        for file in files:
            row = f"{class_name}/{portable(file)}"
            pictures.append(Picture(class_name, row, f"{folder}{os.sep}{file}"))
    return pictures, notes


def files_below(folder: Path, notes: list[str]) -> list[str]:
    """Files below `folder` that may be pictures, relative to it, with "/" between the parts."""
    files: list[str] = []
    above = [parent.stat() for parent in folder.resolve().parents]
    visited = {(status.st_dev, status.st_ino) for status in above}

    def note(error: OSError) -> None:
        notes.append(f"{error.filename}: {UNREADABLE}: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=note, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in visited:  # a link back to a folder above
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = Path(place).relative_to(folder).as_posix()
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() not in NOT_PICTURES:
                files.append(name if within == "." else f"{within}/{name}")
    return sorted(files)


def portable(name: str) -> str:
    """`name` as every file system would give it: composed form, undecodable bytes escaped."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode("utf-8"))


def image_folder(
    root: str | Path, strict: bool = False, name: str = "image_folder"
) -> ImageDataset:
    """ROOT/<class>/**/<picture>, in any format that Pillow opens; broken pictures are skipped.

    Raises InputError where root is not such a folder, or with `strict` when a picture is broken.
    """
    place = Path(root).expanduser()
    layout = f"{name}: {place}"
    if not place.exists():
        raise InputError(f"{layout} does not exist: set data.root to a folder of class folders")
    if not place.is_dir():
        raise InputError(f"{layout} is a file: set data.root to a folder of class folders")
    pictures, notes = class_folders(place)
    if not pictures:
        files = files_below(place, [])
        if files:
            raise InputError(
                f"{layout} has no class folders, its pictures lie directly in it (such as "
                f"{files[0]}): move them into {place / '<class>' / '<picture>'}"
            )
        raise InputError(f"{layout} holds no pictures: expected {place / '<class>' / '<picture>'}")
    names = sorted({picture.class_name for picture in pictures})
    if {each.lower() for each in names} <= SPLIT_NAMES:
        raise InputError(
            f"{layout} holds splits ({', '.join(names)}), not classes: set data.root to one of "
            "them, or join their class folders (seen and unseen splits are made later)"
        )
    return from_pictures(name, pictures, strict, notes)


def filtered(
    dataset: ImageDataset, min_images: int | None = None, limit_per_class: int | None = None
) -> ImageDataset:
    """`dataset` without small classes, or with only the first pictures of each class.

    Classes of fewer than `min_images` pictures are left out and named in skipped; of the others the
    first `limit_per_class` by row name are kept, and min_images counts before that limit. The
    fingerprint follows the rows: it stays only where every row does. Features that came with the
    data stay with `dataset`. None left: InputError.
    """
    for option, value in (("min_images", min_images), ("limit_per_class", limit_per_class)):
        if value is not None and value < 1:
            raise InputError(
                f"subset.{option}={value}: give a number from 1 on, or null for no such limit"
            )
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes))
    large = counts >= (min_images or 0)
    taken: Counter[int] = Counter()
    kept = []
    for index in sorted(range(len(dataset.rows)), key=dataset.rows.__getitem__):
        label = int(dataset.labels[index])
        if large[label] and (limit_per_class is None or taken[label] < limit_per_class):
            taken[label] += 1
            kept.append(index)
    if not kept:
        raise InputError(
            f"{dataset.name}: no class has {min_images} pictures (the largest has {counts.max()}): "
            "lower subset.min_images"
        )
    kept.sort()
    rows = tuple(dataset.rows[index] for index in kept)
    fingerprint = dataset.fingerprint
    if len(rows) < len(dataset.rows):
        fingerprint = fingerprint_of((row, dataset.fingerprint.encode()) for row in rows)
    small = (f"{dataset.classes[i]}: {counts[i]} pictures" for i in np.flatnonzero(~large))
    return ImageDataset(
        name=dataset.name,
        classes=tuple(dataset.classes[index] for index in np.flatnonzero(large)),
        labels=(np.cumsum(large) - 1)[dataset.labels[kept]].astype(np.int64),
        rows=rows,
        fingerprint=fingerprint,
        images=None if dataset.images is None else _taken(dataset.images, kept),
        skipped=(*dataset.skipped, *(f"{note}, min_images={min_images}" for note in small)),
    )


def _taken(images: Sequence[Image.Image], kept: list[int]) -> Sequence[Image.Image]:
    if isinstance(images, PictureFiles | PictureArrays):
        return images.take(kept)
    return [images[index] for index in kept]
