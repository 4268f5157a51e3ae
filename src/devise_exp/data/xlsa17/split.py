"""The proposed split of Xian et al. 2018."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.data.splits import Split, class_rng, given_split
from devise_exp.data.xlsa17 import files
from devise_exp.data.xlsa17.files import dataset_title

if TYPE_CHECKING:
    pass


def proposed_split(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    root: str | Path,
    name: str,
    seed: int = 0,
    val_share: float = 0.1,
) -> Split:
    """The proposed split as it is, but for validation rows, which `seed` takes from trainval.

    The benchmark's own validation rows (val_loc) are of seen classes that play unseen ones, some of
    them test rows, so no row is taken from there. Of rows that are left out (by subset, or without
    a vector) the others keep their part, and the name ends in "_part".
    classes, labels (N,), rows (N,): as in splits.named.
    """
    if not 0 < val_share < 1:
        raise InputError(f"split.val_share={val_share}: give a share between 0 and 1")
    listing = files.read_listing(root, name)
    place = {row: i for i, row in enumerate(rows) if labels[i] >= 0}
    trainval, test, unseen_rows = (
        np.array(sorted(place[listing.rows[i]] for i in part if listing.rows[i] in place), int)
        for part in listing.parts
    )
    counts = [np.bincount(labels[part], minlength=len(classes)) for part in (trainval, test)]
    of_unseen = np.bincount(labels[unseen_rows], minlength=len(classes)) > 0
    if mixed := [c for c, n in zip(classes, counts[0] * of_unseen, strict=True) if n]:
        raise InputError(
            f"split xlsa17 of {name}: class {mixed[0]!r} is seen and unseen: mend labels.merges"
        )
    small = [
        classes[c]
        for c in np.flatnonzero(~of_unseen).tolist()
        if counts[0][c] < 2 or not counts[1][c]  # two, one of which validates
    ]
    if small or not of_unseen.any() or of_unseen.all():
        some = f"of {', '.join(small[:3])}" if small else "on both sides of the split"
        raise InputError(
            f"split xlsa17 of {name}: too few of its rows {some} are in the data: it belongs to "
            "data=xlsa17, with subset.limit_per_class=null"
        )
    train, val = _deal(classes, labels, rows, trainval, seed, val_share)
    n_given, n_here = (sum(map(len, p)) for p in (listing.parts, (trainval, test, unseen_rows)))
    split_name = dataset_title(name) + ("" if n_here == n_given else "_part")
    return given_split(classes, labels, rows, (train, val, test, unseen_rows), split_name, seed)


def _deal(
    classes: Sequence[str],
    labels: np.ndarray,
    rows: Sequence[str],
    trainval: np.ndarray,
    seed: int,
    val_share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Train and validation rows: of each class its share validates, at least one row."""
    val: list[int] = []
    for c in np.unique(labels[trainval]):
        own = sorted(trainval[labels[trainval] == c].tolist(), key=rows.__getitem__)
        # A class's own stream, as in splits.named.
        rng = class_rng(seed, classes[c])
        n_val = min(max(1, round(len(own) * val_share)), len(own) - 1)
        val += [own[i] for i in rng.permutation(len(own))[:n_val]]
    return np.setdiff1d(trainval, val), np.sort(np.array(val, int))
