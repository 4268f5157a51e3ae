"""Class folds: seen classes that act as unseen ones while hyperparameters are chosen."""

from __future__ import annotations

from math import comb

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.data.splits import Split

AUTO = "auto"
FEW_CLASSES = 60  # of fewer seen classes two folds say little of gamma: their best ones differ
_MAX_FOLDS = 12
_CLASSES_IN_ALL = 240  # seen classes times folds, about what all trainings on folds may take
LEAST_CLASSES = 8  # seen classes: a fifth of fewer are no two
_ALLOWED = (
    f"a whole number from 2 to half the seen classes ({LEAST_CLASSES} or more), 0 for none, or auto"
)


def draw_class_folds(
    split: Split, clean: np.ndarray, n_folds: int | str, strict: bool = True
) -> tuple[np.ndarray, ...]:
    """Draw class folds of a split.

    A number asks for so many disjoint folds. "auto" gives two of FEW_CLASSES seen classes or more,
    else up to 12, the first two disjoint: further folds are drawn from all classes again, so that
    a class is held out in several.

    Args:
        split: The split; its seed alone draws.
        clean: Ids of the seen classes that the pretraining does not know. Only these are drawn if
            there are four or more per fold (of "auto", eight or more), else any seen class.
        n_folds: How many folds, or "auto".
        strict: Whether a number that the seen classes do not allow is an error; else it gives the
            folds that it gave before it was one.

    Returns:
        Sorted class ids per fold, each a fifth of the seen classes or fewer; () if there are too
        few classes for folds of two.

    Raises:
        InputError: If n_folds is neither "auto" nor 0, nor a number that the seen classes allow.
    """
    n_seen = len(split.seen)
    if n_folds == AUTO:
        n_disjoint, n = 2, folds_of(n_seen)
    else:
        n_disjoint = n = _allowed(n_folds, n_seen, strict)
    pool = clean if len(clean) >= 4 * n_disjoint else split.seen
    size = min(len(pool) // max(n_disjoint, 1), round(n_seen / 5))
    if n < 1 or size < 2:
        return ()
    by_name = np.array(sorted(pool.tolist(), key=lambda c: split.classes[c]))
    rng = np.random.default_rng(split.seed)
    folds: dict[tuple[int, ...], None] = {}
    while len(folds) < min(n, comb(len(pool), size)):
        ids = by_name[rng.permutation(len(by_name))]
        for start in range(0, len(ids) - size + 1, size):
            folds[tuple(sorted(ids[start : start + size].tolist()))] = None
    return tuple(np.array(fold) for fold in list(folds)[:n])


def folds_of(n_seen: int) -> int:
    """Choose the number of class folds of "auto".

    Args:
        n_seen: The number of seen classes.

    Returns:
        2 of FEW_CLASSES or more, else the more the fewer classes there are, at most 12.
    """
    return 2 if n_seen >= FEW_CLASSES else min(_MAX_FOLDS, _CLASSES_IN_ALL // max(n_seen, 1))


def _allowed(n_folds: int | str, n_seen: int, strict: bool) -> int:
    """The number of folds, if it is one that so many seen classes allow."""
    if type(n_folds) is not int or n_folds < 0:
        raise InputError(f"class_folds={n_folds}: give {_ALLOWED}")
    most = n_seen // 2 if n_seen >= LEAST_CLASSES else 0
    if n_folds == 0 or 2 <= n_folds <= most or not strict:
        return n_folds
    if not most:
        raise InputError(
            f"class_folds={n_folds}: {n_seen} seen classes allow no class fold, which takes "
            f"{LEAST_CLASSES} of them: give auto, or 0 for none"
        )
    raise InputError(
        f"class_folds={n_folds}: {n_seen} seen classes allow 2 to {most} class folds: give such a "
        "number, auto, or 0 for none"
    )
