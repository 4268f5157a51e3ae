"""Class folds: seen classes that act as unseen ones while hyperparameters are chosen."""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.data.splits import Split


def draw_class_folds(split: Split, clean: np.ndarray, n_folds: int) -> tuple[np.ndarray, ...]:
    """Draw disjoint class folds of a split.

    Args:
        split: The split; its seed alone draws.
        clean: Ids of the seen classes that the pretraining does not know. Only these are drawn if
            there are four or more per fold, else any seen class.
        n_folds: How many folds.

    Returns:
        Sorted class ids per fold, each a fifth of the seen classes or fewer; () if there are too
        few classes for folds of two.

    Raises:
        InputError: If n_folds is not a whole number from 0 on.
    """
    if type(n_folds) is not int or n_folds < 0:
        raise InputError(f"class_folds={n_folds}: give a whole number from 0 on")
    pool = clean if len(clean) >= 4 * n_folds else split.seen
    size = min(len(pool) // max(n_folds, 1), round(len(split.seen) / 5))
    if n_folds < 1 or size < 2:
        return ()
    by_name = sorted(pool.tolist(), key=lambda c: split.classes[c])
    drawn = np.random.default_rng(split.seed).permutation(len(by_name))
    ids = np.array(by_name)[drawn]
    return tuple(np.sort(ids[i * size : (i + 1) * size]) for i in range(n_folds))
