"""A published split of folders: its parts as they are, with some classes held out as unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.class_sides import choose_sides, draw_unseen
from devise_exp.data.dealing import class_rng
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split, check_train_per_class, given_split, unseen_names


def folders_split(
    data: LabelledRows,
    n_unseen: int | None = None,
    unseen: Sequence[str] | None = None,
    seed: int = 0,
    val_share: float = 0.1,
    clean: str = "report",
    n_seen: int | None = None,
    train_per_class: int | None = None,
    unseen_file: str | None = None,
    name: str = "folders",
) -> Split:
    """Take the rows of seen classes as published; all rows of unseen classes test.

    No row of an unseen class trains, of whatever part it is, so all of them are unseen rows. If
    no test part was published, val tests. A seen class without val rows validates with a share of
    its train rows.

    Args:
        data: The rows, their classes and their parts: train, val and test.
        n_unseen: How many classes are unseen, drawn as by random_split; None: a fifth of them.
        unseen: The names of the unseen classes, instead of drawn ones.
        seed: Draws the unseen classes and deals rows that no part decides.
        val_share: Share of the train rows of a class that validate if it has no val rows.
        clean: "report" or "require", see Split.
        n_seen: So many seen classes take part, smaller sets within larger ones; None: all.
        train_per_class: At most so many rows of a class train, nested alike; None: all.
        unseen_file: A file with further names of unseen classes: a name a line, CSV or YAML.
        name: The name in tables and messages: folders or official, which are one split.

    Returns:
        The split.

    Raises:
        InputError: If the data come without parts, a seen class has no rows to train or test on,
            or an option has a wrong value.
    """
    if not 0 < val_share < 1:
        raise InputError(f"split.val_share={val_share}: give a share between 0 and 1")
    check_train_per_class(train_per_class)
    named = unseen_names(unseen, unseen_file)
    if named and n_unseen is not None:
        raise InputError("split.unseen and split.n_unseen: give one of them, the other one null")
    if data.parts is None:
        raise without_parts_error(name)
    names = named or draw_unseen(data.classes, n_unseen, seed)
    data, is_unseen = choose_sides(data, names, n_seen, seed)
    train, val, test, remarks = published_rows(data, is_unseen, name)
    dealing = _Dealing(name=name, seed=seed, val_share=val_share, train_per_class=train_per_class)
    train, val, more = _deal(data, train, val, dealing)
    unseen_rows = np.flatnonzero(np.isin(data.labels, np.flatnonzero(is_unseen)))
    title = f"{name}{int(is_unseen.sum())}"
    split = given_split(data, (train, val, test, unseen_rows), title, seed, clean, is_unseen)
    return replace(split, remarks=(*split.remarks, *remarks, *more))


def without_parts_error(name: str) -> InputError:
    """Make the error for data without published parts.

    Args:
        name: Of the split.

    Returns:
        The error, to be raised.
    """
    return InputError(
        f"split={name}: these data come without published parts: choose split=random or "
        "split=named, or data with parts: train and test folders (data=image_folder), a column "
        "split (data=table), or the splits of data=hugging_face or data=webdataset"
    )


def published_rows(
    data: LabelledRows, is_unseen: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Take the rows of seen classes as published.

    Args:
        data: The rows, their classes and their parts.
        is_unseen: (C,) bool.
        name: Of the split, for messages.

    Returns:
        Rows to train, validate and test, and what to know of them: without a test part val tests.

    Raises:
        InputError: If a seen class has no rows to train or to test on.
    """
    is_seen_row = np.isin(data.labels, np.flatnonzero(~is_unseen))
    parts = np.array([str(part) for part in data.parts or ()])
    train, val, test = (
        np.flatnonzero(is_seen_row & (parts == part)) for part in ("train", "val", "test")
    )
    remarks = []
    if not len(test):
        val, test = test, val
        remarks.append("no test part was published, so the val part tests")
    for part, rows in (("train", train), ("test" if len(val) or not remarks else "val", test)):
        counts = np.bincount(data.labels[rows], minlength=len(data.classes))
        empty = [data.classes[c] for c in np.flatnonzero((counts == 0) & ~is_unseen).tolist()]
        if empty:
            raise InputError(
                f"split={name}: no {part} images of {listed(empty)}: name them in split.unseen, "
                "or join the parts with data.parts=join split=random"
            )
    return train, val, test, remarks


@dataclass(frozen=True, kw_only=True)
class _Dealing:
    """The options of a split that deal rows which no part decides, as `folders_split` has them."""

    name: str
    seed: int
    val_share: float
    train_per_class: int | None


def _deal(
    data: LabelledRows, train: np.ndarray, val: np.ndarray, options: _Dealing
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Let train rows of classes without val rows validate; train with at most so many of a class.

    Returns the rows to train and validate, and what to know of them.
    """
    with_val = set(data.labels[val].tolist())
    kept: list[int] = []
    validating = val.tolist()
    without: list[str] = []
    val_groups: set[str] = set()
    by_class: dict[int, list[int]] = {}
    for row in train.tolist():
        by_class.setdefault(int(data.labels[row]), []).append(row)
    for c, rows in by_class.items():
        by_name = sorted(rows, key=data.rows.__getitem__)
        ordered = [
            by_name[i] for i in class_rng(options.seed, data.classes[c]).permutation(len(rows))
        ]
        if c not in with_val:
            if len(rows) < 2:
                raise InputError(
                    f"split={options.name}: a single train image of {data.classes[c]}, which has "
                    "no val image: leave such classes out with subset.min_images, or name it in "
                    "split.unseen"
                )
            n_val = min(max(1, round(len(rows) * options.val_share)), len(rows) - 1)
            ordered, chosen = _choose(data, ordered, n_val, val_groups)
            validating += chosen
            without.append(data.classes[c])
        kept += ordered[: options.train_per_class]
    remarks = []
    if without:
        which = "the seen classes" if not with_val else listed(sorted(without), 3)
        remarks.append(
            f"split={options.name}: no val images of {which} were published, so "
            f"{options.val_share:.0%} of their train images validate"
        )
    return np.sort(np.array(kept, int)), np.sort(np.array(validating, int)), remarks


def _choose(
    data: LabelledRows, ordered: list[int], n: int, val_groups: set[str]
) -> tuple[list[int], list[int]]:
    """Choose the first n train rows of a class to validate, with the others of their groups.

    Returns the rows that train, and those that validate. The last group of a class trains.
    """
    if data.groups is None:
        return ordered[n:], ordered[:n]
    groups = {row: str(data.groups[row] or f"alone {row}") for row in ordered}
    left = set(groups.values())
    chosen = left & val_groups
    for group in dict.fromkeys(groups.values()):
        if sum(groups[row] in chosen for row in ordered) >= n or len(left - chosen) < 2:
            break
        chosen.add(group)
    val_groups |= chosen
    return (
        [row for row in ordered if groups[row] not in chosen],
        [row for row in ordered if groups[row] in chosen],
    )
