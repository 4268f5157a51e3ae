"""Splits: which classes are unseen, and which rows of the seen ones train, validate and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import read_names
from devise_exp.data.class_sides import choose_sides, draw_unseen
from devise_exp.data.dealing import deal_rows
from devise_exp.data.labelled_rows import LabelledRows, split_fingerprint


@dataclass(frozen=True, kw_only=True)
class Split:
    """Classes as ids into `classes`, rows as indices into the dataset.

    Attributes:
        name: The name in tables and reports.
        seed: The seed that dealt the rows.
        classes: (C,) names of the classes that take part, in the order of the data.
        seen: (S,) class ids.
        unseen: (U,) class ids.
        train: Rows of seen classes to train on; every seen class has rows in all three parts.
        val: Rows of seen classes to choose by.
        test: Rows of seen classes to test on.
        unseen_rows: All rows of the unseen classes.
        fingerprint: Hash of classes, sides and the row names of all parts.
        clean: Whether to "report" unseen classes that the pretraining knew, or to "require" none.
        remarks: What a person should know of how the rows were dealt.
    """

    name: str
    seed: int
    classes: tuple[str, ...]
    seen: np.ndarray
    unseen: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    unseen_rows: np.ndarray
    fingerprint: str
    clean: str = "report"
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.clean not in ("report", "require"):
            raise InputError(f"split.clean={self.clean}: choose report or require")
        rows = np.sort(np.concatenate([self.train, self.val, self.test, self.unseen_rows]))
        if (rows[1:] == rows[:-1]).any():
            raise ValueError("a row is in two parts of the split")
        if np.isin(self.seen, self.unseen).any():
            raise ValueError("a class is both seen and unseen")


def random_split(
    data: LabelledRows,
    n_unseen: int | None = None,
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.2,
    clean: str = "report",
    n_seen: int | None = None,
    train_per_class: int | None = None,
) -> Split:
    """Draw the unseen classes by a seed; the rest is as for `named_split`.

    Args:
        data: The rows and their classes.
        n_unseen: How many classes are unseen; None: a fifth of them, at least one.
        seed: Draws the unseen classes and deals the rows.
        val_share: As for named_split.
        test_share: As for named_split.
        clean: As for named_split.
        n_seen: As for named_split.
        train_per_class: As for named_split.

    Returns:
        The split.

    Raises:
        InputError: If too few seen or unseen classes remain, or an option has a wrong value.
    """
    unseen = draw_unseen(data.classes, n_unseen, seed)
    return named_split(
        data,
        unseen=unseen,
        name=f"random{len(unseen)}",
        seed=seed,
        val_share=val_share,
        test_share=test_share,
        clean=clean,
        n_seen=n_seen,
        train_per_class=train_per_class,
    )


def named_split(
    data: LabelledRows,
    unseen: Sequence[str] | None = (),
    name: str = "named",
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.2,
    clean: str = "report",
    n_seen: int | None = None,
    train_per_class: int | None = None,
    unseen_file: str | None = None,
) -> Split:
    """Make the listed classes unseen and all others seen.

    Names and copies alone decide the dealing and the fingerprint, so both are the same on every
    machine, in whatever order classes and rows come.

    Args:
        data: The rows and their classes.
        unseen: The names of the unseen classes.
        name: The name in tables and reports.
        seed: Deals the rows.
        val_share: Share of the images of a seen class that validate.
        test_share: Share of the images of a seen class that test.
        clean: "report" or "require", see Split.
        n_seen: So many seen classes take part, smaller sets within larger ones; None: all.
        train_per_class: At most so many rows of a class train, nested alike; None: all.
        unseen_file: A file with further names of unseen classes: a name a line, CSV or YAML.

    Returns:
        The split.

    Raises:
        InputError: If a class is unknown or listed twice, too few classes or images remain, or an
            option has a wrong value.
    """
    if not (val_share > 0 and test_share > 0 and val_share + test_share < 1):
        raise InputError(
            f"split.val_share={val_share} and split.test_share={test_share}: give two shares above "
            "0, together below 1"
        )
    check_train_per_class(train_per_class)
    names = unseen_names(unseen, unseen_file)
    if not names:
        raise InputError(
            f"split.unseen names none of the {len(data.classes)} classes: name some, "
            "split.unseen=[NAME,NAME], or give a file with a name a line, split.unseen_file=FILE"
        )
    data, is_unseen = choose_sides(data, names, n_seen, seed)
    parts = deal_rows(data, ~is_unseen, seed, val_share, test_share, train_per_class)
    unseen_rows = np.flatnonzero(np.isin(data.labels, np.flatnonzero(is_unseen)))
    return given_split(data, (*parts, unseen_rows), name, seed, clean, is_unseen)


def unseen_names(unseen: Sequence[str] | None, unseen_file: str | None) -> list[str]:
    """Join the names of unseen classes that an option and a file give.

    Args:
        unseen: The names of `split.unseen`.
        unseen_file: The file of `split.unseen_file`.

    Returns:
        The names, those of the option first.
    """
    names = list(unseen or ())
    return names + (read_names(unseen_file, "split.unseen_file") if unseen_file is not None else [])


def check_train_per_class(train_per_class: int | None) -> None:
    """Check the most rows of a class that train.

    Args:
        train_per_class: The option; None: all.

    Raises:
        InputError: If it is no whole number from 1 on.
    """
    if train_per_class is not None and (type(train_per_class) is not int or train_per_class < 1):
        raise InputError(f"split.train_per_class={train_per_class}: give a whole number from 1 on")


def given_split(
    data: LabelledRows,
    parts: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    name: str,
    seed: int = 0,
    clean: str = "report",
    is_unseen: np.ndarray | None = None,
) -> Split:
    """Make a split of rows that are dealt already.

    Args:
        data: The rows and their classes.
        parts: Rows to train, validate and test, and those of unseen classes.
        name: The name in tables and reports.
        seed: The seed that dealt the rows.
        clean: "report" or "require", see Split.
        is_unseen: (C,) bool; None: the classes of the last part.

    Returns:
        The split.
    """
    train, val, test, unseen_rows = parts
    if is_unseen is None:
        is_unseen = np.isin(np.arange(len(data.classes)), data.labels[unseen_rows])
    return Split(
        name=name,
        seed=seed,
        classes=tuple(data.classes),
        seen=np.flatnonzero(~is_unseen),
        unseen=np.flatnonzero(is_unseen),
        train=train,
        val=val,
        test=test,
        unseen_rows=unseen_rows,
        fingerprint=split_fingerprint(data.classes, is_unseen, data.rows, parts),
        clean=clean,
    )
