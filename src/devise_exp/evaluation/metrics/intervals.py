"""How far a metric can be believed: intervals, and tests of whether two methods differ.

A metric varies with the images drawn (`interval`), with the classes chosen (`class_interval`), with
the queries of a search (`mean_interval`) and with the seed of the training (`seed_interval`); each
interval, of 95 per cent, holds the other three fixed. N is the number of images, S the number of
seeds. Every function is pure: the same arguments, in whatever order of images, give the same
numbers.
"""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics import without_spread
from devise_exp.evaluation.metrics.hits import per_class

LEVEL = 0.95
DRAWS_AT_ONCE = 1 << 20  # of a bootstrap: 8 MB of row numbers


def interval(
    hits: np.ndarray,
    truth: np.ndarray | None = None,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Compute the bootstrap percentile interval of a share over images.

    Efron and Tibshirani 1993. It says how the metric varies with the images drawn, not with the
    classes chosen. Resampling cannot see past its sample: a class of one image, or whose images are
    all right or all wrong, adds no width. If every class is such, the interval is the exact one of
    `without_spread` (Clopper and Pearson 1934); if every class has one image, images are drawn
    across classes.

    Args:
        hits: (N,) bool.
        truth: (N,) class ids for the interval of the class mean, whose images are resampled within
            their class; None for that of the share of images.
        resamples: Number of bootstrap samples.

    Returns:
        The lower and the upper bound.
    """
    _check_bootstrap(resamples)
    counts, shares = per_class(hits, _one_class(hits) if truth is None else truth)
    if counts.max() == 1:  # within a class nothing varies: images are drawn across classes
        counts, shares = per_class(hits, _one_class(hits))
    if ((shares == 0) | (shares == 1)).all():
        return without_spread.of_even_classes(counts, shares)
    # The hits among n images drawn with replacement are Binomial(n, share): draw those instead.
    rng, rows = np.random.default_rng(0), max(1, DRAWS_AT_ONCE // len(counts))
    starts = range(0, resamples, rows)
    sizes = ((min(rows, resamples - start), len(counts)) for start in starts)
    means = [(rng.binomial(counts, shares, size=size) / counts).mean(axis=1) for size in sizes]
    return _percentiles(np.concatenate(means))


def class_interval(
    hits: np.ndarray,
    truth: np.ndarray,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Compute the bootstrap percentile interval of the class mean over classes.

    Classes are resampled and keep their shares of hits, so the interval says how the metric varies
    with the classes chosen; it is the wider one if classes differ. With fewer than some twenty
    classes it is too narrow, unless all of them are equal (`mean_interval`).

    Args:
        hits: (N,) bool.
        truth: (N,) class ids.
        resamples: Number of bootstrap samples.

    Returns:
        The lower and the upper bound.
    """
    _, shares = per_class(hits, truth)
    return mean_interval(shares, resamples)


def mean_interval(values: np.ndarray, resamples: int = 2000) -> tuple[float, float]:
    """Compute the bootstrap percentile interval of a mean.

    It says how the metric varies with the queries drawn, not with the images they search. Equal
    numbers, or a single one, have the exact interval of `without_spread`.

    Args:
        values: (Q,) one number in [0, 1] per query or class.
        resamples: Number of bootstrap samples.

    Returns:
        The lower and the upper bound.
    """
    values = _numbers(values, "values", 1)
    _check_bootstrap(resamples)
    if values.min() == values.max():
        return without_spread.of_equal_values(float(values[0]), len(values))
    n, rng = len(values), np.random.default_rng(0)
    ordered = np.sort(values)  # so that the order of the queries makes no difference
    rows = min(resamples, max(1, DRAWS_AT_ONCE // n))
    means = [
        ordered[rng.integers(n, size=(rows, n))].mean(axis=1) for _ in range(0, resamples, rows)
    ]
    return _percentiles(np.concatenate(means)[:resamples])


def seed_interval(values: np.ndarray) -> tuple[float, float, float, float]:
    """Compute Student's t interval of a metric over seeds.

    It says how the metric varies with the seed of the training, for these images and classes.

    Args:
        values: (S,) one number per training on the same split, S >= 2.

    Returns:
        Mean, sample standard deviation, lower and upper bound.
    """
    values = _numbers(values, "values", 2)
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    half = _student_quantile(len(values) - 1) * sd / len(values) ** 0.5
    return mean, sd, mean - half, mean + half


def paired_seeds(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float]:
    """Compute the paired t test of two methods trained with the same seeds.

    Differences that do not vary at all leave nothing to test: p is then 1 if they are 0, else 0.

    Args:
        a: (S,) metric of the first method per seed, S >= 2.
        b: (S,) metric of the second method.

    Returns:
        Mean of a - b, its lower and upper bound, and the two-sided p.

    Raises:
        InputError: The numbers of seeds differ.
    """
    from scipy.special import stdtr

    a, b = _numbers(a, "a", 2), _numbers(b, "b", 2)
    if len(a) != len(b):
        raise InputError(f"a has {len(a)} seeds but b has {len(b)}: give both the same seeds")
    difference, sd, lo, hi = seed_interval(a - b)
    if sd < 1e-12:  # what rounding leaves of equal differences
        return difference, lo, hi, float(abs(difference) < 1e-12)
    t = difference / (sd / len(a) ** 0.5)
    return difference, lo, hi, float(2 * stdtr(len(a) - 1, -abs(t)))


def paired_test(
    hits_a: np.ndarray,
    hits_b: np.ndarray,
    truth: np.ndarray | None = None,
    resamples: int = 10_000,
) -> tuple[float, float, float, float]:
    """Test whether two methods differ on the same images.

    The bounds are paired bootstrap percentiles (images are drawn, each with both its hits). p is
    that of a two-sided permutation test that flips the signs of the images' differences at random
    (Good 2005), at least 1 / (resamples + 1); over images it is McNemar's exact test, up to the
    draws. Like `interval`, it speaks of further images of these classes by these trained models.

    Args:
        hits_a: (N,) bool, hits of the first method.
        hits_b: (N,) bool, hits of the second method on the same images.
        truth: (N,) class ids to compare class means, stratified by class; None to compare the
            shares of images.
        resamples: Number of bootstrap samples and of permutations.

    Returns:
        Difference a - b, its lower and upper bound, and p.
    """
    _check_bootstrap(resamples)
    groups = _one_class(hits_a) if truth is None else truth
    counts, shares_a = per_class(hits_a, groups)
    _, shares_b = per_class(hits_b, groups)
    # Of an image's difference only the sign counts: `better` +1, `worse` -1, all others 0.
    better = np.rint(counts * per_class(hits_a & ~hits_b, groups)[1]).astype(np.int64)  # (C,)
    worse = np.rint(counts * per_class(hits_b & ~hits_a, groups)[1]).astype(np.int64)
    difference = float((shares_a - shares_b).mean())
    rng, size = np.random.default_rng(0), (resamples, len(counts))
    # Multinomial draws of (better, worse, others), as two binomials.
    gains = rng.binomial(counts, better / counts, size=size)
    left = np.maximum(counts - better, 1)
    losses = rng.binomial(counts - gains, worse / left)
    lo, hi = _percentiles(((gains - losses) / counts).mean(axis=1))
    flipped = 2 * rng.binomial(better + worse, 0.5, size=size) - (better + worse)
    as_far = np.abs((flipped / counts).mean(axis=1)) >= abs(difference) - 1e-12  # rounding
    return difference, lo, hi, float((1 + as_far.sum()) / (1 + resamples))


def _student_quantile(freedom: int) -> float:
    """Quantile of Student's t for intervals of LEVEL."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))


def _one_class(hits: np.ndarray) -> np.ndarray:
    """Class ids (N,) that put all images into one class."""
    return np.zeros(np.shape(hits)[:1], dtype=np.int64)


def _check_bootstrap(resamples: int) -> None:
    """InputError unless there is a resample."""
    if resamples < 1:
        raise InputError(f"resamples is {resamples}: set at least 1 resample")


def _percentiles(means: np.ndarray) -> tuple[float, float]:
    """The bounds of LEVEL of bootstrapped means."""
    lo, hi = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(lo), float(hi)


def _numbers(values: np.ndarray, what: str, min_: int) -> np.ndarray:
    """`values` as an array; InputError unless they are `min_` or more finite numbers."""
    values = np.asarray(values)
    if values.ndim != 1 or len(values) < min_ or not np.isfinite(values).all():
        raise InputError(
            f"{what}: found shape {values.shape} of {values.dtype}; "
            f"give {min_} or more finite numbers in one dimension"
        )
    return values
