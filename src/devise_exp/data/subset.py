"""Some of a dataset: its larger classes, or the first images of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.images import ImageArrays, ImageFiles
from devise_exp.data.scan import images_fingerprint


def subset(
    dataset: ImageDataset, min_images: int | None = None, limit_per_class: int | None = None
) -> ImageDataset:
    """Leave out small classes, or keep only the first images of each class.

    Args:
        dataset: The dataset; features that come with it are not kept.
        min_images: Classes of fewer images, copies not counted, are left out and named in
            `skipped`. None: no limit.
        limit_per_class: So many images of each class, and of each of its parts if there are any,
            are kept with their copies, the first by row name; min_images counts before this limit.
            None: no limit.

    Returns:
        The subset. Its fingerprint differs from the dataset's if any row was left out.

    Raises:
        InputError: If a limit is less than 1, or no class is left.
    """
    for option, value in (("min_images", min_images), ("limit_per_class", limit_per_class)):
        if value is not None and value < 1:
            raise InputError(
                f"subset.{option}={value}: give a number from 1 on, or null for no limit"
            )
    counts = _count_images(dataset)
    large = counts >= (min_images or 0)
    kept = _kept_rows(dataset, large, limit_per_class)
    if not kept:
        raise InputError(
            f"{dataset.name}: no class has {min_images} images (the largest has {counts.max()}): "
            "lower subset.min_images"
        )
    rows = tuple(dataset.rows[index] for index in kept)
    fingerprint = dataset.fingerprint
    if len(rows) < len(dataset.rows):
        fingerprint = images_fingerprint((row, dataset.fingerprint.encode()) for row in rows)
    small = (f"{dataset.classes[i]}: {counts[i]} images" for i in np.flatnonzero(~large))
    return ImageDataset(
        name=dataset.name,
        classes=tuple(dataset.classes[index] for index in np.flatnonzero(large)),
        labels=(np.cumsum(large) - 1)[dataset.labels[kept]].astype(np.int64),
        rows=rows,
        fingerprint=fingerprint,
        images=None if dataset.images is None else _take(dataset.images, kept),
        skipped=(*dataset.skipped, *(f"{note}, min_images={min_images}" for note in small)),
        contents=None if dataset.contents is None else tuple(dataset.contents[i] for i in kept),
        looks=None if dataset.looks is None else dataset.looks[kept],
        parts=None if dataset.parts is None else tuple(dataset.parts[i] for i in kept),
        remarks=dataset.remarks,
        groups=None if dataset.groups is None else tuple(dataset.groups[i] for i in kept),
        about=dataset.about,
    )


def _count_images(dataset: ImageDataset) -> np.ndarray:
    """Return how many different images each class has."""
    labels = dataset.labels
    if dataset.contents is not None:
        numbers = np.unique(np.asarray(dataset.contents), return_inverse=True)[1]
        labels = np.unique(np.stack([labels, numbers]), axis=1)[0]
    return np.bincount(labels, minlength=len(dataset.classes))


def _kept_rows(
    dataset: ImageDataset, is_kept: np.ndarray, limit_per_class: int | None
) -> list[int]:
    """Return the rows of the kept classes (C,) bool in order, up to a limit by row name.

    The limit is that of each part, if there are parts, and copies are not counted.
    """
    images: dict[tuple[int, str | None], set[str | int]] = {}
    kept = []
    for index in sorted(range(len(dataset.rows)), key=dataset.rows.__getitem__):
        label = int(dataset.labels[index])
        part = dataset.parts[index] if dataset.parts else None
        image = dataset.contents[index] if dataset.contents else index
        first = images.setdefault((label, part), set())
        if limit_per_class is None or len(first) < limit_per_class:
            first.add(image)
        if is_kept[label] and image in first:
            kept.append(index)
    return sorted(kept)


def _take(images: Sequence[Image.Image], kept: list[int]) -> Sequence[Image.Image]:
    """Select images without opening them, if their sequence can."""
    if isinstance(images, ImageFiles | ImageArrays):
        return images.take(kept)
    return [images[index] for index in kept]
