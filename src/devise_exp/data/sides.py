"""No image on two sides of a split, whatever dealt its rows.

The last of train, val, test and unseen keeps the rows of an image; those in other parts leave.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.labelled_rows import LabelledRows, split_fingerprint
from devise_exp.data.splits import Split


def keep_apart(split: Split, data: LabelledRows, images: np.ndarray) -> Split:
    """Take rows out of a split whose image is in a later part: of train, val, test and unseen.

    Args:
        split: The split, of whatever origin.
        data: The rows that it was made of.
        images: (N,) int64: the lowest row that shows the same image.

    Returns:
        The split itself if no image is in two parts, else a split of fewer rows and another
        fingerprint.

    Raises:
        InputError: If a class is left without training images, or a part without images.
    """
    earlier = is_earlier(split, images)
    if not earlier.any():
        return split
    train, val, test = (part[~earlier[part]] for part in (split.train, split.val, split.test))
    _refuse_emptied(split, (train, val, test), data, images)
    is_unseen = np.isin(np.arange(len(split.classes)), split.unseen)
    rest = (train, val, test, split.unseen_rows)
    fingerprint = split_fingerprint(split.classes, is_unseen, data.rows, rest)
    return replace(split, train=train, val=val, test=test, fingerprint=fingerprint)


def _refuse_emptied(
    split: Split,
    parts: tuple[np.ndarray, np.ndarray, np.ndarray],
    data: LabelledRows,
    images: np.ndarray,
) -> None:
    """Raise an InputError if a class has no training rows left, or validation or test has none."""
    gone = np.setdiff1d(data.labels[split.train], data.labels[parts[0]])
    if len(gone):
        what = f"training images of {listed(sorted(data.classes[c] for c in gone))}"
        row = split.train[np.isin(data.labels[split.train], gone)][0]
    elif len(split.val) and not len(parts[1]):
        what, row = "validation images", split.val[0]
    elif len(split.test) and not len(parts[2]):
        what, row = "test images", split.test[0]
    else:
        return
    ranks = _ranks(split, len(images))
    copy = np.flatnonzero((images == images[row]) & (ranks > ranks[row]))[0]
    copies, remedy = "copies", "delete the copies"
    if data.groups is not None:
        copies, remedy = "copies or images of their group", "leave the groups out"
    raise InputError(
        f"split {split.name}: no {what} are left, as all have {copies} in a later part of train, "
        f"val, test and unseen ({data.rows[row]} = {data.rows[copy]}): {remedy}, leave "
        "out the class that holds them, or join such classes with labels.merges"
    )


def _ranks(split: Split, n: int) -> np.ndarray:
    """Number the parts of N rows from 0 (train) to 3 (unseen); -1 is no part."""
    ranks = np.full(n, -1)
    for rank, part in enumerate((split.train, split.val, split.test, split.unseen_rows)):
        ranks[part] = rank
    return ranks


def is_earlier(split: Split, images: np.ndarray) -> np.ndarray:
    """Tell which rows of a split show an image that is in a later part too.

    Args:
        split: The split.
        images: (N,) int64: the lowest row that shows the same image.

    Returns:
        (N,) bool.
    """
    ranks = _ranks(split, len(images))
    last = ranks.copy()
    np.maximum.at(last, images, ranks)
    earlier: np.ndarray = (ranks >= 0) & (ranks < last[images])
    return earlier
