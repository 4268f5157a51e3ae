"""CoCoOp's base-to-new split: half the classes train with a few images each, all of them test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import NameIndex, listed
from devise_exp.data.class_sides import choose_sides
from devise_exp.data.dealing import class_rng, deal_rows
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.published_split import published_rows, without_parts_error
from devise_exp.data.split_lists import class_order
from devise_exp.data.splits import Split, given_split, unseen_names

_NAME = "base_to_new"
_VAL_SHARE = 0.2  # of data without parts, as CoOp deals the sets that have none


def base_to_new_split(
    data: LabelledRows,
    shots: int = 16,
    val_shots: int = 4,
    seed: int = 0,
    unseen: Sequence[str] | None = None,
    test_share: float | None = None,
    clean: str = "report",
    unseen_file: str | None = None,
    file: str | None = None,
) -> Split:
    """Train on a few images of the base classes; base and new ones test on the official test part.

    The setting of CoCoOp (Zhou et al., CVPR 2022, section 4.1). Of C classes the first half,
    rounded up, are base. The order here is that of the names; CoCoOp's is that of its label
    numbers, so where these are not in the order of the names, `file` gives the order, or `unseen`
    the new classes.

    Args:
        data: The rows, their classes and their parts: train, val and test.
        shots: Images of each base class that train, no copies; all of a smaller class, but for one
            that validates if no other image is left. The split's remarks say where that is so.
        val_shots: At most so many of each base class validate: of its val rows, or of its train
            rows that are left.
        seed: Draws them.
        unseen: The names of the new classes; None: the second half by name.
        test_share: Of data without parts: the share of the images of each class that test.
        clean: "report" or "require", see Split.
        unseen_file: A file with further names of new classes: a name a line, CSV or YAML.
        file: A split list of CoOp (split_zhou_NAME.json), by whose numbers the classes are ordered.

    Returns:
        The split. Train and val rows of new classes, and rows beyond the shots, are in no part.

    Raises:
        InputError: If the data come without parts, a class has no rows to train or test on, or an
            option has a wrong value.
    """
    for option, value in (("shots", shots), ("val_shots", val_shots)):
        if type(value) is not int or value < 1:
            raise InputError(f"split.{option}={value}: give a whole number from 1 on")
    named = unseen_names(unseen, unseen_file)
    if file is not None and named:
        raise InputError(
            f"split.file={file}: the file orders the classes, and split.unseen names the new ones: "
            "leave out one of the two"
        )
    new = named or _second_half(data.classes, file)
    data, is_new = choose_sides(_with_parts(data, seed, test_share), new, None, seed)
    train, val, test, remarks = published_rows(data, is_new, _NAME)
    tests = "test" if len(val) or not remarks else "val"
    new_rows = _test_rows(data, is_new, tests)
    train, val, fewer = _draw(data, train, val, (test, new_rows), (shots, val_shots, seed))
    split = given_split(data, (train, val, test, new_rows), f"{_NAME}{shots}", seed, clean, is_new)
    return replace(split, remarks=(*remarks, *fewer))


def _second_half(classes: Sequence[str], file: str | None) -> list[str]:
    """The second half of the classes by name, or of those of a split list by their numbers."""
    if file is None:
        in_order = sorted(classes)
        return in_order[(len(in_order) + 1) // 2 :]
    index, present = NameIndex(classes), set(classes)
    in_file = [index.find(name) for name in class_order(Path(file).expanduser(), "split.file")]
    if missing := sorted(present - set(in_file)):
        raise InputError(
            f"split.file={file}: {len(missing)} of the {len(classes)} classes are not listed there "
            f"({listed(missing)}): give the list of these data"
        )
    return [name for name in in_file[(len(in_file) + 1) // 2 :] if name in present]


def _with_parts(data: LabelledRows, seed: int, test_share: float | None) -> LabelledRows:
    """Deal parts to data that come without, if that is asked for."""
    if data.parts is not None:
        if test_share is not None:
            raise InputError(
                f"split.test_share={test_share}: these data come with a test part: leave it out"
            )
        return data
    if test_share is None:
        error = without_parts_error(_NAME)
        raise InputError(f"{error}; or deal a test part with split.test_share=0.3")
    if not 0 < test_share < 1 - _VAL_SHARE:
        raise InputError(
            f"split.test_share={test_share}: give a share above 0 and below {1 - _VAL_SHARE}"
        )
    every = np.ones(len(data.classes), bool)
    parts: list[str | None] = [None] * len(data.rows)
    dealt = deal_rows(data, every, seed, _VAL_SHARE, test_share, None)
    for part, rows in zip(("train", "val", "test"), dealt, strict=True):
        for row in rows.tolist():
            parts[row] = part
    return replace(data, parts=parts)


def _test_rows(data: LabelledRows, is_new: np.ndarray, part: str) -> np.ndarray:
    """The test rows of new classes."""
    of_part = np.array([str(name) == part for name in data.parts or ()])
    rows = np.flatnonzero(of_part & np.isin(data.labels, np.flatnonzero(is_new)))
    counts = np.bincount(data.labels[rows], minlength=len(data.classes))
    empty = [data.classes[c] for c in np.flatnonzero((counts == 0) & is_new).tolist()]
    if empty:
        raise InputError(
            f"split={_NAME}: no {part} images of {listed(empty)}: leave these classes out, or name "
            "the new classes with split.unseen=[NAME,NAME]"
        )
    return rows


def _draw(
    data: LabelledRows,
    train: np.ndarray,
    val: np.ndarray,
    tested: tuple[np.ndarray, np.ndarray],
    options: tuple[int, int, int],
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Draw the rows that train and validate; no copy of one another, nor of a tested image.

    Also says which classes have fewer shots.
    """
    shots, val_shots, seed = options
    taken = {_image(data, row) for rows in tested for row in rows.tolist()}
    kept: list[int] = []
    validating: list[int] = []
    sizes: list[tuple[int, bool]] = []  # of classes: images that may train, whether others validate
    for c in np.unique(data.labels[train]).tolist():
        rng = class_rng(seed, data.classes[c])
        pools = []
        for rows in (val, train):  # an image of both validates, as in every split
            by_name = sorted(rows[data.labels[rows] == c].tolist(), key=data.rows.__getitem__)
            new: list[int] = []
            for i in rng.permutation(len(by_name)):
                image = _image(data, by_name[i])
                if image not in taken:
                    taken.add(image)
                    new.append(by_name[i])
            pools.append(new)
        checked, trained = pools
        if len(trained) < 2 - bool(checked):
            raise InputError(
                f"split={_NAME}: too few train images of {data.classes[c]} that are no copies of "
                "others: leave such classes out with subset.min_images"
            )
        sizes.append((len(trained), bool(checked)))
        n = min(shots, len(trained) - (not checked))
        kept += trained[:n]
        validating += (checked or trained[n:])[:val_shots]
    drawn = np.sort(np.array(kept, int)), np.sort(np.array(validating, int))
    return *drawn, _fewer_shots(sizes, shots)


def _fewer_shots(sizes: Sequence[tuple[int, bool]], shots: int) -> list[str]:
    """Say how many classes train on fewer images than the split's name says, and why."""
    few = [n for n, _ in sizes if n < shots]
    taken = [n for n, others in sizes if not others and n <= shots]
    what = []
    if few:
        what.append(
            f"{len(few)} of {len(sizes)} base classes have fewer than {shots} train images that "
            f"are no copies, the smallest {min(few)}"
        )
    if taken:
        what.append(
            f"in {len(taken)} of {len(sizes)} base classes no other image is left to validate, so "
            "one of the shots validates and does not train"
        )
    fit = min(n - (not others) for n, others in sizes)
    remedy = f"split.shots={fit} gives all of them as many"
    return [f"split={_NAME}: {'; '.join(what)}: {remedy}"] if what else []


def _image(data: LabelledRows, row: int) -> str | int:
    """What tells the image of a row from others."""
    return row if data.contents is None else data.contents[row]
