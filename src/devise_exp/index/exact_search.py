"""Exact search by cosine among unit rows: a float32 matrix product prunes, float64 settles.

Scores are made a tile at a time, of many queries and some thousand vectors, small enough for a
processor's cache. A vector is a candidate while its float32 score reaches the k-th best so far,
less what rounding may have done; the few that are left are compared in float64, summed in one
fixed order, and sorted by (-similarity, id), so that an answer hangs neither on the size of a tile
nor on the queries beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from devise_exp.core.console import track
from devise_exp.core.errors import InputError

NUMBERS_AT_ONCE = 1 << 21  # scores in a tile, 8 MB; candidates kept beyond those that are needed
QUERIES_AT_ONCE = 1024
WORTH_A_BAR = 10**9  # scores, which take some seconds
GROUP = 64  # candidates that are first looked at by their best score only


class Candidates(NamedTuple):
    """Of P vectors that may be among the nearest: the query, the id and the score of each, (P,)."""

    rows: np.ndarray
    ids: np.ndarray
    scores: np.ndarray


def search_unit_rows(
    vectors: np.ndarray, queries: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (Q, k) int64 and cosine similarities (Q, k) float32 of `queries` (Q, D), best first,
    among float32 rows (N, D) that have unit length already and may be memory-mapped: nothing of
    them is copied.

    InputError for a bad query row, no queries, another D, or k outside 1 to N.
    """
    queries = checked_queries(vectors, queries, k)
    ids = np.empty((len(queries), k), dtype=np.int64)
    similarities = np.empty((len(queries), k), dtype=np.float32)
    step = max(1, min(QUERIES_AT_ONCE, NUMBERS_AT_ONCE // (4 * k)))
    starts: Iterable[int] = range(0, len(queries), step)
    if len(queries) * len(vectors) >= WORTH_A_BAR:
        starts = track(starts, "exact search")
    for start in starts:
        part = slice(start, start + step)
        found = _candidates(vectors, queries[part], k)
        ids[part], similarities[part] = settled(vectors, queries[part], found, k)
    return ids, similarities


def _candidates(vectors: np.ndarray, queries: np.ndarray, k: int) -> Candidates:
    """Candidates among which are, for every query, its k nearest of `vectors` (N, D)."""
    n, q = len(vectors), len(queries)
    width = min(n, max(k, NUMBERS_AT_ONCE // q))
    room = np.empty(q * width, dtype=np.float32)  # the same for all tiles: new pages cost time
    # Both the k-th score and a true neighbour's may be off by the rounding, hence twice.
    slack = 2 * rounding(vectors.shape[1])
    found = Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    least, pruned = np.empty(0), 0
    for start in range(0, n, width):
        tile = vectors[start : start + width]
        scores = np.matmul(queries, tile.T, out=room[: q * len(tile)].reshape(q, len(tile)))
        if start == 0:
            least = _reached_by(scores, k) - slack
        near = np.flatnonzero(scores >= least[:, None])
        rows, places = np.divmod(near, len(tile))
        more = Candidates(rows, start + places, scores.ravel()[near])
        found = Candidates(*(np.concatenate(both) for both in zip(found, more, strict=True)))
        seen = start + len(tile)
        full = len(found.ids) > q * k + NUMBERS_AT_ONCE
        if full or 2 * pruned <= seen < n:  # the k-th best rises little between
            kth = _kth_score(found, q, k)
            least, pruned = kth - slack, seen
            keep = found.scores >= least[found.rows]
            found = Candidates(*(each[keep] for each in found))
        if full and len(found.ids) > q * k + NUMBERS_AT_ONCE // 2:  # ties: settle them now
            ids, exact = settled(vectors, queries, found, k)
            found = Candidates(np.repeat(np.arange(q), k), ids.ravel(), exact.ravel())
    return found


def _kth_score(found: Candidates, q: int, k: int) -> np.ndarray:
    """The k-th best score (q,) of each query, which has at least k candidates."""
    order = np.lexsort((-found.scores, found.rows))
    first = np.searchsorted(found.rows[order], np.arange(q))
    kth: np.ndarray = found.scores[order[first + k - 1]]
    return kth


def _reached_by(scores: np.ndarray, k: int) -> np.ndarray:
    """A score (Q,) that at least k of the N in each row of `scores` (Q, N) reach."""
    q, n = scores.shape
    groups = n // GROUP
    if groups > 4 * k:
        # The k-th best group maximum is such a score, little below the k-th best, far cheaper.
        scores = scores[:, : groups * GROUP].reshape(q, GROUP, groups).max(axis=1)
        n = groups
    kth: np.ndarray = np.partition(scores, n - k, axis=1)[:, n - k]
    return kth


def settled(
    vectors: np.ndarray, queries: np.ndarray, found: Candidates, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (Q, k) and similarities (Q, k) float32 of the best k of at least k candidates each."""
    exact = dots(vectors, queries, found.ids, found.rows)
    ids, similarities = best(found.rows, found.ids, exact, len(queries), k)
    return ids, similarities.astype(np.float32)


def checked_queries(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    n, dim = vectors.shape
    if not 1 <= k <= n:
        raise InputError(f"k is {k}, but there are {n} candidates: set k to a number from 1 to {n}")
    queries = unit_rows(queries, "queries")
    if queries.shape[1] != dim:
        raise InputError(
            f"queries have {queries.shape[1]} dimensions, but the index has {dim}: "
            "embed them with the model and the word vectors that the index was made from"
        )
    return queries


def unit_rows(values: np.ndarray, what: str) -> np.ndarray:
    """A float32 copy of `values` (N, D) at unit length; unit rows keep their bits."""
    values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise InputError(
            f"{what}: found shape {values.shape} of {values.dtype}; "
            "give numbers (rows, dimensions), at least one row"
        )
    with np.errstate(over="ignore"):  # a number too large for float32 is reported below
        rows = np.array(values, dtype=np.float32, order="C")
    each = np.arange(len(rows))
    with np.errstate(invalid="ignore"):
        length = np.sqrt(dots(rows, rows, each, each))
    wrong = np.flatnonzero(~np.isfinite(length) | (length == 0))
    if len(wrong):
        fault = "is all zero" if length[wrong[0]] == 0 else "holds NaN or infinity"
        raise InputError(
            f"row {wrong[0]} of the {what} {fault} ({len(wrong)} of {len(rows)} rows are bad): "
            "leave such rows out, or mend what made them"
        )
    # Rounding to float32 moves a length by up to 6e-8; dividing again would change bits on load.
    length[np.abs(length - 1) <= 1e-7] = 1.0
    np.divide(rows, length[:, None], out=rows, casting="same_kind")
    return rows


def dots(left: np.ndarray, right: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Dot products (P,) float64 of the rows left[i] and right[j], each summed in the same order.

    A product of two float32 is exact in float64, so only the order of the sum matters; BLAS and
    einsum change it with the size of the batch, a sum along the last axis does not.
    """
    found = np.empty(len(i))
    step = max(1, NUMBERS_AT_ONCE // 2 // left.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        found[part] = (left[i[part]].astype(np.float64) * right[j[part]]).sum(axis=1)
    return found


def best(
    rows: np.ndarray, ids: np.ndarray, similarities: np.ndarray, n_rows: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Best k ids and similarities (n_rows, k), from P triples with at least k for each row."""
    order = np.lexsort((ids, -similarities, rows))
    first = np.searchsorted(rows[order], np.arange(n_rows))
    chosen = order[first[:, None] + np.arange(k)]
    return ids[chosen], similarities[chosen]


def rounding(dim: int) -> float:
    """Bound on the error of a float32 dot product of unit vectors, summed in any order."""
    return float((dim + 16) * 2.0**-24)
