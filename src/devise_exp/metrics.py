"""From ids to numbers: flat hit@k, class means, harmonic mean, bootstrap intervals, index recall.

All functions are pure. N is the number of queries (images), K the number of neighbours of each.
"""

from __future__ import annotations

import numpy as np

from devise_exp.errors import InputError


def rank_of_truth(neighbours: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Place (N,) of each true id among its neighbours: 0 is the nearest, K is not among them.

    `neighbours` (N, K) ids, best first; `truth` (N,) ids. InputError for a repeated id in a row.
    """
    neighbours, truth = _ids(neighbours, "neighbours", 2), _ids(truth, "truth", 1)
    _same_length(neighbours, "neighbours", truth, "truth")
    _no_repeats(neighbours, "neighbours")
    true = neighbours == truth[:, None]  # (N, K)
    ranks: np.ndarray = np.where(true.any(axis=1), true.argmax(axis=1), neighbours.shape[1])
    return ranks


def hit_at_k(ranks: np.ndarray, k: int) -> np.ndarray:
    """Whether (N,) each true id is among the k nearest (Frome et al. 2013, section 4.2).

    The mean over images is flat hit@k. `ranks` (N,) from `rank_of_truth` over K >= k neighbours:
    with fewer, a truth that is not among them would count as a hit.
    """
    ranks = _ids(ranks, "ranks", 1)
    if k < 1:
        raise InputError(f"hit@{k} is not defined: set k to 1 or more")
    return ranks < k


def class_mean(hits: np.ndarray, truth: np.ndarray) -> float:
    """Mean over classes of each class's share of hits; `hits` (N,) bool, `truth` (N,) class ids.

    Only classes that occur in `truth` count (Xian et al. 2018, average per-class accuracy).
    """
    _, shares = _per_class(_hits(hits), truth)
    return float(shares.mean())


def harmonic_mean(u: float, s: float) -> float:
    """H = 2us / (u + s) of the unseen and seen figures (Xian et al. 2018); 0 when both are 0."""
    for name, value in (("unseen", u), ("seen", s)):
        if not (np.isfinite(value) and value >= 0):
            raise InputError(
                f"the {name} figure is {value}: a harmonic mean needs numbers from 0 up"
            )
    return float(2 * u * s / (u + s)) if u + s else 0.0


def interval(
    hits: np.ndarray,
    truth: np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap percentile interval (lo, hi) of a share (Efron and Tibshirani 1993).

    `hits` (N,) bool. Without `truth`, of the share over images; with class ids `truth` (N,), of the
    class mean, where images are resampled within their class. It says how the figure varies with
    the images drawn, not with the classes chosen. A share of exactly 0 or 1 gets an interval of no
    width, and a class of one image adds none: resampling cannot see past its sample.
    """
    hits = _hits(hits)
    if not 0 < level < 1 or resamples < 1:
        raise InputError(
            f"level is {level} and resamples is {resamples}: "
            "set a level between 0 and 1 and at least 1 resample"
        )
    groups = np.zeros(len(hits), dtype=np.int64) if truth is None else truth
    counts, shares = _per_class(hits, groups)
    # The hits among n images drawn with replacement are Binomial(n, share): draw those instead.
    draws = np.random.default_rng(seed).binomial(counts, shares, size=(resamples, len(counts)))
    means = (draws / counts).mean(axis=1)  # (resamples,)
    lo, hi = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lo), float(hi)


def chance(k: int, n_candidates: int) -> float:
    """Expected hit@k of a random ranking of the candidates."""
    check_k(k, n_candidates)
    return k / n_candidates


def index_recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean over queries of the share of the exact k neighbours that were found; both (N, k) ids."""
    found, exact = _ids(found, "found", 2), _ids(exact, "exact", 2)
    if found.shape != exact.shape:
        raise InputError(
            f"found has shape {found.shape}, exact {exact.shape}: search both with the same k"
        )
    _no_repeats(found, "found")
    _no_repeats(exact, "exact")
    # No id repeats within a row of either, so an id that repeats in the joined row is in both.
    joined = np.sort(np.concatenate([found, exact], axis=1), axis=1)  # (N, 2k)
    return float((joined[:, 1:] == joined[:, :-1]).sum() / exact.size)


def check_k(k: int, n_candidates: int) -> None:
    """InputError unless hit@k means something among `n_candidates`."""
    if not 1 <= k <= n_candidates:
        raise InputError(
            f"k is {k}, but there are {n_candidates} candidates: "
            f"set k to a number from 1 to {n_candidates}"
        )


def check_truth(truth: np.ndarray, candidates: np.ndarray) -> None:
    """InputError for a query with no true answer: an id in `truth` (N,), not `candidates` (C,)."""
    truth, candidates = _ids(truth, "truth", 1), _ids(candidates, "candidates", 1)
    absent = np.flatnonzero(~np.isin(truth, candidates))
    if len(absent):
        raise InputError(
            f"a query with no true answer: query {absent[0]} has label {truth[absent[0]]}, "
            f"which is not among the {len(candidates)} candidates "
            f"({len(absent)} of {len(truth)} queries lack theirs): "
            "add the label to the candidates or leave these images out"
        )


def _per_class(hits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of images and share of hits, both (C,), of each class that occurs in `truth`."""
    truth = _ids(truth, "truth", 1)
    _same_length(hits, "hits", truth, "truth")
    _, position = np.unique(truth, return_inverse=True)
    counts = np.bincount(position)
    return counts, np.bincount(position, weights=hits) / counts


def _ids(values: np.ndarray, what: str, ndim: int) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != ndim or values.size == 0 or values.dtype.kind not in "iu":
        raise InputError(
            f"{what}: found shape {values.shape} of {values.dtype}; "
            f"give at least one whole number, in {ndim} dimension(s)"
        )
    return values


def _hits(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0 or values.dtype != np.bool_:
        raise InputError(
            f"hits: found shape {values.shape} of {values.dtype}; "
            "give true or false for at least one image"
        )
    return values


def _same_length(one: np.ndarray, one_name: str, other: np.ndarray, other_name: str) -> None:
    if len(one) != len(other):
        raise InputError(
            f"{one_name} has {len(one)} rows but {other_name} has {len(other)}: "
            "give both one row per query"
        )


def _no_repeats(ids: np.ndarray, what: str) -> None:
    ordered = np.sort(ids, axis=1)
    repeated = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(repeated):
        raise InputError(
            f"{what}: row {repeated[0]} names an id twice ({len(repeated)} of {len(ids)} rows do): "
            "rank each candidate once"
        )
