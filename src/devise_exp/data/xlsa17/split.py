"""The proposed split of Xian et al. 2018."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.data.dealing import class_rng
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split, given_split
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.files import dataset_title


def proposed_split(
    data: LabelledRows,
    root: str | Path,
    name: str,
    seed: int = 0,
    val_share: float = 0.1,
) -> Split:
    """Take the proposed split as it is, but for validation rows, which come from trainval.

    The benchmark's own validation rows (val_loc) are of seen classes that act as unseen ones, and
    some are test rows, so they are not used. If rows are left out (by subset, or for lack of a
    vector), the others keep their part, and the name ends in "_part".

    Args:
        data: The rows and their classes.
        root: The folder that holds NAME/res101.mat and NAME/att_splits.mat.
        name: AWA1, AWA2, CUB, SUN or APY.
        seed: Deals the validation rows.
        val_share: Share of the trainval rows of a class that validate, at least one.

    Returns:
        The split.

    Raises:
        InputError: If the data are of another dataset, or merges mix seen and unseen classes.
    """
    if not 0 < val_share < 1:
        raise InputError(f"split.val_share={val_share}: give a share between 0 and 1")
    listing = files.read_listing(root, name)
    position = {row: i for i, row in enumerate(data.rows) if data.labels[i] >= 0}
    trainval, test, unseen_rows = (
        np.array(
            sorted(position[listing.rows[i]] for i in part if listing.rows[i] in position), int
        )
        for part in listing.parts
    )
    _check_sides(name, data, trainval, test, unseen_rows)
    train, val = _deal(data, trainval, seed, val_share)
    parts = (train, val, test, unseen_rows)
    is_whole = sum(map(len, listing.parts)) == sum(map(len, parts))
    split_name = dataset_title(name) + ("" if is_whole else "_part")
    return given_split(data, parts, split_name, seed)


def _check_sides(
    name: str,
    data: LabelledRows,
    trainval: np.ndarray,
    test: np.ndarray,
    unseen_rows: np.ndarray,
) -> None:
    """Refuse classes that are seen and unseen, and seen ones with too few rows."""
    classes, labels = data.classes, data.labels
    counts = [np.bincount(labels[part], minlength=len(classes)) for part in (trainval, test)]
    of_unseen = np.bincount(labels[unseen_rows], minlength=len(classes)) > 0
    if mixed := [c for c, n in zip(classes, counts[0] * of_unseen, strict=True) if n]:
        raise InputError(
            f"split xlsa17 of {name}: class {mixed[0]!r} is seen and unseen: correct labels.merges"
        )
    small = [
        classes[c]
        for c in np.flatnonzero(~of_unseen).tolist()
        if counts[0][c] < 2 or not counts[1][c]  # two, one of which validates
    ]
    if small or not of_unseen.any() or of_unseen.all():
        some = f"of {', '.join(small[:3])}" if small else "on both sides of the split"
        raise InputError(
            f"split xlsa17 of {name}: too few of its rows {some} are in the data: use it with "
            "data=xlsa17 and subset.limit_per_class=null"
        )


def _deal(
    data: LabelledRows,
    trainval: np.ndarray,
    seed: int,
    val_share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Deal train and validation rows: the share of a class validates, at least one row."""
    val: list[int] = []
    labels = data.labels[trainval]
    for c in np.unique(labels):
        of_class = sorted(trainval[labels == c].tolist(), key=data.rows.__getitem__)
        n_val = min(max(1, round(len(of_class) * val_share)), len(of_class) - 1)
        order = class_rng(seed, data.classes[c]).permutation(len(of_class))
        val += [of_class[i] for i in order[:n_val]]
    return np.setdiff1d(trainval, val), np.sort(np.array(val, int))
