"""Image datasets: labelled images, identified by their content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.core.text_column import packed
from devise_exp.data.decoding import MAX_PIXELS
from devise_exp.data.images import ImageFiles
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.listing import look_at
from devise_exp.data.scan import scan_images


class PrecomputedFeatures(NamedTuple):
    """Features that come with the data.

    Attributes:
        backbone: The name of the backbone that gave them.
        read: Reads (N, feature_dim), row i for row i of the dataset.
    """

    backbone: str
    read: Callable[[], np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageDataset:
    """N images in C classes.

    Attributes:
        name: The name in tables and reports.
        classes: (C,) raw class names, sorted.
        labels: (N,) int64 indices into classes.
        rows: (N,) unique row names, <class folder>/<image>, the same on every machine; sorted by
            the constructors of this package.
        fingerprint: Hash of rows and file contents.
        images: (N,) RGB images, opened on access; None if only features are there.
        skipped: "path: reason" of everything that was left out.
        features: The features that come with the data, if any.
        contents: (N,) hash of each image's pixels, the same for copies of one image; None if they
            are unknown.
        looks: (N, 72) uint8, how each image looks, see perceptual_hash; None if that is unknown.
        parts: (N,) the part that the publisher of the data gave each row, None for a row without
            one; None if the data come without parts.
        remarks: What a person should know of how the data were read.
        groups: (N,) the group of each row, whose images stay on one side of a split; None for a row
            without one; None if the data come without groups.
        about: Lines that say how the data were understood.
    """

    name: str
    classes: tuple[str, ...] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    rows: Sequence[str] = field(repr=False)
    fingerprint: str
    images: Sequence[Image.Image] | None = field(repr=False)
    skipped: tuple[str, ...] = field(default=(), repr=False)
    features: PrecomputedFeatures | None = field(default=None, repr=False)
    contents: Sequence[str] | None = field(default=None, repr=False)
    looks: np.ndarray | None = field(default=None, repr=False)
    parts: tuple[str | None, ...] | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = field(default=(), repr=False)
    groups: tuple[str | None, ...] | None = field(default=None, repr=False)
    about: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if list(self.classes) != sorted(set(self.classes)) or not self.classes:
            raise ValueError(f"{self.name}: classes must be one or more unique names, sorted")
        if self.labels.shape != (len(self.rows),) or self.labels.dtype != np.int64:
            raise ValueError(f"{self.name}: labels must be int64, one for each of the rows")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(f"{self.name}: a label lies outside the {len(self.classes)} classes")
        if len(set(self.rows)) != len(self.rows):
            raise ValueError(f"{self.name}: row names are not unique")
        for fact in ("images", "contents", "looks", "parts", "groups"):
            values = getattr(self, fact)
            if values is not None and len(values) != len(self.rows):
                raise ValueError(f"{self.name}: {len(values)} {fact} for {len(self.rows)} rows")


def labelled_rows(
    dataset: ImageDataset,
    classes: Sequence[str] | None = None,
    labels: np.ndarray | None = None,
) -> LabelledRows:
    """Tell what a split may know of a dataset.

    Args:
        dataset: The dataset.
        classes: (C,) names of the classes that may take part; None: the dataset's.
        labels: (N,) ids into these, -1 for a row of no part; None: the dataset's.

    Returns:
        Its rows.
    """
    return LabelledRows(
        classes=dataset.classes if classes is None else classes,
        labels=dataset.labels if labels is None else labels,
        rows=dataset.rows,
        contents=dataset.contents,
        parts=dataset.parts,
        groups=dataset.groups,
    )


class ImageEntry(NamedTuple):
    """An image that a dataset lists, before the scan.

    Attributes:
        class_name: The raw class name.
        row: The row name, <class>/<image>.
        path: The file.
        part: The part that its publisher gave it, if that is to be kept.
        group: The group whose images stay on one side of a split, if it has one.
    """

    class_name: str
    row: str
    path: str
    part: str | None = None
    group: str | None = None


def dataset_from_images(
    name: str,
    images: Iterable[ImageEntry],
    strict: bool,
    notes: Iterable[str] = (),
    remarks: tuple[str, ...] = (),
    max_pixels: int = MAX_PIXELS,
    about: tuple[str, ...] = (),
) -> ImageDataset:
    """Scan images and make a dataset of the good ones, sorted by row name.

    Args:
        name: The name of the dataset.
        images: The images; the first of a row name counts.
        strict: Whether a broken image is an error instead of skipped.
        notes: What was skipped before.
        remarks: What a person should know of how the images were listed.
        max_pixels: Images of more pixels count as broken.
        about: Lines that say how the data were understood.

    Returns:
        The dataset.

    Raises:
        InputError: If no image is good, one is broken with `strict`, or `max_pixels` is not a
            number of pixels.
    """
    if type(max_pixels) is not int or max_pixels < 1:
        raise InputError(f"data.max_pixels={max_pixels!r}: give a whole number from 1 on")
    listed, doubled = _by_row(images)
    look_at((image.class_name, image.path) for image in listed.values())
    scan = scan_images({row: image.path for row, image in listed.items()}, max_pixels)
    broken = [f"{row}: {reason}" for row, reason in scan.broken.items()]
    good = [listed[row] for row in sorted(listed) if row not in scan.broken]
    _check_broken(name, broken, len(listed), strict)
    classes = sorted({image.class_name for image in good})
    lost = sorted({image.class_name for image in listed.values()} - set(classes))
    number = {class_name: index for index, class_name in enumerate(classes)}
    return ImageDataset(
        name=name,
        classes=tuple(classes),
        labels=np.array([number[image.class_name] for image in good], dtype=np.int64),
        rows=packed([image.row for image in good]),
        fingerprint=scan.fingerprint,
        images=ImageFiles((image.path for image in good), max_pixels=max_pixels),
        skipped=(*(f"{name}: no good image" for name in lost), *notes, *doubled, *broken),
        contents=packed(scan.contents),
        looks=scan.looks,
        parts=tuple(image.part for image in good) if any(image.part for image in good) else None,
        remarks=remarks,
        groups=tuple(image.group for image in good) if any(image.group for image in good) else None,
        about=about,
    )


def _by_row(images: Iterable[ImageEntry]) -> tuple[dict[str, ImageEntry], list[str]]:
    """The first image of each row name, and a line for every other one."""
    listed: dict[str, ImageEntry] = {}
    doubled = []
    for image in images:
        # Two file names may differ in their Unicode form alone.
        if listed.setdefault(image.row, image) is not image:
            doubled.append(f"{image.row}: a second file of this name")
    return listed, doubled


def _check_broken(name: str, broken: list[str], n: int, strict: bool) -> None:
    """InputError if all of the n images are broken, or one is with `strict`."""
    some = "; ".join(broken[:3]) + (" ..." if len(broken) > 3 else "")
    if strict and broken:
        raise InputError(
            f"{name}: {len(broken)} of {n} images are broken ({some}): "
            "repair or remove them, or leave them out with data.strict=false"
        )
    if len(broken) == n:
        raise InputError(f"{name}: none of the {n} files is a good image ({some})")
