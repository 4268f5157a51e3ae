"""From ids to numbers: hit@k, class means, harmonic mean, precision, index recall.

All functions are pure. N is the number of queries (images), K the number of neighbours of each; of
a search, Q is the number of queries and N the number of pictures that each of them ranks.
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
    _, shares = per_class(hits, truth)
    return float(shares.mean())


def harmonic_mean(u: float, s: float) -> float:
    """H = 2us / (u + s) of the unseen and seen figures (Xian et al. 2018); 0 when both are 0."""
    for name, value in (("unseen", u), ("seen", s)):
        if not (np.isfinite(value) and value >= 0):
            raise InputError(
                f"the {name} figure is {value}: a harmonic mean needs numbers from 0 up"
            )
    return float(2 * u * s / (u + s)) if u + s else 0.0


def chance(k: int, n_candidates: int) -> float:
    """Expected hit@k of a random ranking of the candidates."""
    check_k(k, n_candidates)
    return k / n_candidates


def precision_at_k(relevant: np.ndarray, k: int) -> np.ndarray:
    """P@k (Q,): the share of relevant pictures among the k best.

    `relevant` (Q, N) bool, each row in ranked order. A query with R < k relevant pictures reaches
    at most R / k.
    """
    relevant = flags(relevant, "relevant", 2)
    check_k(k, relevant.shape[1])
    return np.asarray(relevant[:, :k].mean(axis=1))


def average_precision(relevant: np.ndarray) -> np.ndarray:
    """AP (Q,): the mean, over a query's relevant pictures, of the precision at their places.

    Not interpolated (Manning et al. 2008, section 8.4); the mean over queries is mAP. `relevant`
    (Q, N) bool, each row the whole ranking. InputError for a row without a relevant picture.
    """
    relevant = flags(relevant, "relevant", 2)
    without = np.flatnonzero(~relevant.any(axis=1))
    if len(without):
        raise InputError(
            f"average precision is not defined without a relevant picture: query {without[0]} has "
            f"none ({len(without)} of {len(relevant)} queries): leave these queries out"
        )
    found = relevant.cumsum(axis=1)  # (Q, N) relevant pictures up to each place
    precision = found / np.arange(1, relevant.shape[1] + 1)
    return np.asarray((precision * relevant).sum(axis=1) / found[:, -1])


def chance_average_precision(n_relevant: np.ndarray, n: int) -> np.ndarray:
    """Expected AP (Q,) of a random ranking of `n` pictures, `n_relevant` (Q,) of them relevant.

    Place i is relevant with probability R / N, and then each of the i - 1 places before it with
    (R - 1) / (N - 1); so the expectation is (1 / N) sum_i (1 + (i - 1) (R - 1) / (N - 1)) / i
    = 1 - (1 - H_N / N) (N - R) / (N - 1), with H_N the harmonic number (Bestgen 2015).
    """
    n_relevant = _ids(n_relevant, "n_relevant", 1)
    if n_relevant.min() < 1 or n_relevant.max() > n:
        raise InputError(
            f"{n_relevant.min()} to {n_relevant.max()} relevant of {n}: give numbers from 1 to {n}"
        )
    harmonic = (1 / np.arange(1, n + 1)).sum()
    return np.asarray(1 - (1 - harmonic / n) * (n - n_relevant) / max(n - 1, 1))


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


def per_class(hits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of images and share of hits, both (C,), of each class that occurs in `truth`.

    `hits` (N,) bool, `truth` (N,) class ids; the classes in order of their ids.
    """
    hits = flags(hits, "hits", 1)
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


def flags(values: np.ndarray, what: str, ndim: int) -> np.ndarray:
    """`values` as an array; InputError unless they are at least one truth value in `ndim`
    dimensions.
    """
    values = np.asarray(values)
    if values.ndim != ndim or values.size == 0 or values.dtype != np.bool_:
        raise InputError(
            f"{what}: found shape {values.shape} of {values.dtype}; "
            f"give at least one true or false, in {ndim} dimension(s)"
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
