"""Image datasets: labelled pictures known by their content, and the reader of class folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.images import ImageArrays, ImageFiles, images_fingerprint, scan_images


class PrecomputedFeatures(NamedTuple):
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
    features: PrecomputedFeatures | None = field(default=None, repr=False)

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


class ImageEntry(NamedTuple):
    """One picture that a dataset lists, before the scan has looked at it."""

    class_name: str
    row: str
    path: str


def dataset_from_images(
    name: str, pictures: Iterable[ImageEntry], strict: bool, notes: Iterable[str] = ()
) -> ImageDataset:
    """Scan `pictures` and keep the good ones, sorted by row name; `notes` join what was skipped.

    Raises InputError when none is good, or with `strict` when any is broken.
    """
    listed: dict[str, ImageEntry] = {}
    skipped = list(notes)
    for picture in pictures:
        # Two file names may differ in their Unicode form alone.
        if listed.setdefault(picture.row, picture) is not picture:
            skipped.append(f"{picture.row}: a second file of this name")
    found = scan_images({row: picture.path for row, picture in listed.items()})
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
        images=ImageFiles(picture.path for picture in good),
        skipped=(*skipped, *broken, *(f"{each}: no good picture" for each in sorted(lost))),
    )


def subset(
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
        fingerprint = images_fingerprint((row, dataset.fingerprint.encode()) for row in rows)
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
    if isinstance(images, ImageFiles | ImageArrays):
        return images.take(kept)
    return [images[index] for index in kept]
