"""Intervals of samples that do not vary, whose bootstrap or t interval would have no width.

A sample without spread, such as images that are all right, is no proof that the next one is right
too. What can still be said is exact: the interval holds every mean under which so even a sample has
a chance of at least TAIL. Of n images that are all wrong that is Clopper and Pearson 1934, with
1 - TAIL ** (1 / n) as the upper bound, about 3.7 / n ("the rule of three" of Hanley and
Lippman-Hand 1983 is its one-sided form).
"""

from __future__ import annotations

import numpy as np

TAIL = 0.025  # on either side of a 95 % interval


def of_equal_values(value: float, n: int) -> tuple[float, float]:
    """Bound the mean of numbers in [0, 1] of which n were drawn, all of them equal.

    A number that differs from `value` has a chance of at most 1 - TAIL ** (1 / n), and is 0 or 1 at
    the extremes.

    Args:
        value: The number, in [0, 1].
        n: How many equal it.

    Returns:
        The lower and the upper bound.

    Example:
        >>> [round(bound, 3) for bound in of_equal_values(1.0, 13)]
        [0.753, 1.0]
    """
    likely = TAIL ** (1 / n)
    # Not a product with 1 or 0 where rounding would move the end that is certain.
    low = 0.0 if value <= 0 else likely * value
    high = 1.0 if value >= 1 else likely * value + (1 - likely)
    return low, high


def of_even_classes(counts: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    """Bound the class mean of shares of which none lies between 0 and 1.

    The classes that are all wrong bound the mean from above, those that are all right from below,
    by the largest class mean of errors under which none at all has a chance of TAIL (Buehler 1957).

    Args:
        counts: (C,) number of images of each class.
        shares: (C,) 0 or 1.

    Returns:
        The lower and the upper bound of the mean over classes of their shares.
    """
    right = shares > 0.5
    n, mean = len(shares), float(right.mean())
    low = mean - _most_missed(counts[right]) / n if right.any() else 0.0
    high = mean + _most_missed(counts[~right]) / n if not right.all() else 1.0
    return low, high


def _most_missed(counts: np.ndarray) -> float:
    """The largest sum over classes of p under which prod (1 - p) ** counts is TAIL or more.

    By Lagrange 1 - p = min(1, scale * counts): small classes may hide more. The classes with p > 0
    are the smallest ones, and as many of them as keep 1 - p below 1.
    """
    ordered = np.sort(counts).astype(np.float64)
    total = np.cumsum(ordered)
    log_scale = (np.log(TAIL) - np.cumsum(ordered * np.log(ordered))) / total  # by number of them
    n_missing = int((log_scale + np.log(ordered) < 0).sum())  # a run from the smallest on
    scale = np.exp(log_scale[n_missing - 1])
    return float((1 - scale * ordered[:n_missing]).sum())
