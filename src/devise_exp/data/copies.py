"""Copies of images within a dataset: splits that keep them together, and how many there are.

Identity is content, not path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import MAX_LISTED, listed
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.perceptual_hash import join_groups, near_groups
from devise_exp.data.row_units import content_groups, with_groups
from devise_exp.data.sides import is_earlier, keep_apart
from devise_exp.data.splits import Split


@dataclass(frozen=True, kw_only=True)
class CopyReport:
    """The copies among the rows that may take part in a split.

    Attributes:
        copies: How many rows repeat the image of another row.
        in_two_classes: How many images are in two classes or more.
        left_out: How many rows take no part, as their image is in a later part or in two classes.
        near_copies: How many images look like another one: probably resized or encoded anew.
        near_on_two_sides: How many rows look like an image in a later part of the split.
        ambiguous: A line for each image in two classes or more: its rows and classes.
        lines: A line for each image with copies or near copies: its rows.
    """

    copies: int
    in_two_classes: int
    left_out: int
    near_copies: int
    near_on_two_sides: int
    ambiguous: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitImages:
    """A split in which no image is on two sides.

    Attributes:
        split: The split.
        images: (N,) int64: the lowest row that shows the same image, or is of the same group; None
            if that is unknown.
        report: The copies; None if they are unknown.
    """

    split: Split
    images: np.ndarray | None = None
    report: CopyReport | None = None


def split_images(
    data: LabelledRows,
    make_split: Callable[[LabelledRows], Split],
    looks: np.ndarray | None = None,
    near: str = "count",
    in_two_classes: str = "keep",
) -> SplitImages:
    """Split rows, so that no image, and no group of images, is on two sides.

    Args:
        data: The rows and their classes.
        make_split: Makes the split; what it puts on two sides is corrected.
        looks: (N, 72) how each row looks, see perceptual_hash; None if that is unknown.
        near: "count" the near copies, or "group" them: treat them as copies.
        in_two_classes: "keep" images that are in two classes, or "drop" them from both.

    Returns:
        The split with its copies.

    Raises:
        InputError: If copies leave a class without training images, or a part without images.
    """
    if data.contents is None:
        return SplitImages(split=make_split(data))
    images = content_groups(data.contents)
    alike = images if looks is None else near_copy_groups(images, looks)
    if near == "group":
        data = replace(data, contents=[data.contents[row] for row in alike])
    identity = alike if near == "group" else images
    several = _in_two_classes(identity, data.labels)
    dealt = _without(several, data) if in_two_classes == "drop" else data
    together = with_groups(identity, data.groups)
    first = make_split(dealt)
    split = keep_apart(first, dealt, together)
    if together is not identity:
        alone = keep_apart(first, dealt, identity)
        split = _with_remark(split, int(is_earlier(alone, together).sum()))
    left_out = sum(_sizes(first)) - sum(_sizes(split)) + int((dealt.labels != data.labels).sum())
    report = replace(
        _report(data, images, alike, identity, several),
        left_out=left_out,
        near_on_two_sides=int(is_earlier(split, alike).sum()),
    )
    return SplitImages(split=split, images=together, report=report)


def _with_remark(split: Split, n: int) -> Split:
    """Say how many rows take no part for their group's sake."""
    if not n:
        return split
    remark = f"{n} images take no part, as their group has images in a later part of the split"
    return replace(split, remarks=(*split.remarks, remark))


def near_copy_groups(images: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Join the groups of images that look the same.

    Args:
        images: (N,) int64: the lowest row of the same content.
        looks: (N, 72) how each row looks.

    Returns:
        (N,) int64: the lowest row of the same look.
    """
    rows = np.unique(images)
    return join_groups(images, rows, rows[near_groups(looks[rows])])


def _sizes(split: Split) -> list[int]:
    """How many rows each part has."""
    return [len(part) for part in (split.train, split.val, split.test, split.unseen_rows)]


def _in_two_classes(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Tell which of N rows show an image that is in two classes or more."""
    rows = np.flatnonzero(labels >= 0)
    pairs = np.unique(np.stack([images[rows], labels[rows]]), axis=1)
    several = np.bincount(pairs[0], minlength=len(images)) > 1
    result: np.ndarray = several[images] & (labels >= 0)
    return result


def _without(is_dropped: np.ndarray, data: LabelledRows) -> LabelledRows:
    """Drop rows; refuse to leave a class without any."""
    labels = np.where(is_dropped, -1, data.labels)
    gone = sorted(data.classes[c] for c in np.setdiff1d(data.labels, labels))
    if gone:
        raise InputError(
            f"copies.in_two_classes=drop: every image of {listed(gone)} is in another class "
            "too: join such classes with labels.merges, or leave one of them out"
        )
    return replace(data, labels=labels)


def _report(
    data: LabelledRows,
    images: np.ndarray,
    alike: np.ndarray,
    identity: np.ndarray,
    several: np.ndarray,
) -> CopyReport:
    """Count and name the copies of the rows that may take part."""
    rows = np.flatnonzero(data.labels >= 0)
    first = rows[np.unique(images[rows], return_index=True)[1]]  # one row of each image
    ambiguous = _lines(data, np.flatnonzero(several), identity[several], " = ")
    return CopyReport(
        copies=len(rows) - len(first),
        in_two_classes=len(ambiguous),
        left_out=0,
        near_copies=len(first) - len(np.unique(alike[first])),
        near_on_two_sides=0,
        ambiguous=ambiguous,
        lines=(
            *_lines(data, rows, images[rows], " = "),
            *_lines(data, first, alike[first], " ~ "),
        ),
    )


def _lines(data: LabelledRows, rows: np.ndarray, groups: np.ndarray, sign: str) -> tuple[str, ...]:
    """Name the rows of every group of two rows or more."""
    members: dict[int, list[str]] = {}
    for row, group in zip(rows.tolist(), groups.tolist(), strict=True):
        members.setdefault(group, []).append(data.rows[row])
    return tuple(
        sorted(_joined(sorted(names), sign) for names in members.values() if len(names) > 1)
    )


def _joined(names: Sequence[str], sign: str) -> str:
    """Join names, ten at most."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return sign.join(names[:MAX_LISTED]) + more
