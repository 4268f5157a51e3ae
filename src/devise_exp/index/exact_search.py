"""Exact search by cosine among unit rows: a float32 matrix product prunes, float64 decides.

Scores are computed in tiles of many queries and some thousand vectors, small enough for a
processor's cache. A vector is a candidate while its float32 score reaches the k-th best so far,
less what rounding may have done; the few candidates that are left are compared in float64. So an
answer depends neither on the size of a tile nor on the queries beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np

from devise_exp.core.console import track
from devise_exp.core.machine import threads_of_one_blas_thread
from devise_exp.index.unit_rows import checked_queries, pair_dots, rounding_bound, top_k

NUMBERS_AT_ONCE = 1 << 21  # scores in a tile, 8 MB; candidates kept beyond those that are needed
QUERIES_AT_ONCE = 1024
LEAST_QUERIES = 128  # of a thread; of fewer, the product is slow
SCORES_WORTH_THREADS = 3 * 10**7  # which take some tenths of a second
SCORES_WORTH_A_BAR = 10**9  # which take some seconds
GROUP = 32  # scores that are first looked at by their maximum only
RUN = 1024  # scores whose maxima are taken at once
WORTH_GROUPS = 32  # a larger share than 1 / 32 of groups: all scores are looked at instead

Nearest = tuple[np.ndarray, np.ndarray]  # ids (Q, k) int64 and similarities (Q, k) float32


class Candidates(NamedTuple):
    """P pairs of a query and a vector that may be among its nearest.

    Attributes:
        rows: (P,) queries.
        ids: (P,) vectors.
        scores: (P,) float32 scores.
    """

    rows: np.ndarray
    ids: np.ndarray
    scores: np.ndarray


def search_unit_rows(
    vectors: np.ndarray, queries: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Search unit rows without copying them.

    Args:
        vectors: (N, D) float32 unit rows, which may be memory-mapped.
        queries: (Q, D) of any length.
        k: Number of neighbours, 1 to N.

    Returns:
        Ids (Q, k) int64 and cosine similarities (Q, k) float32, best first.

    Raises:
        InputError: `k` is outside 1 to N, the dimensions differ, or a query is all zero or not
            finite.
    """
    queries = checked_queries(vectors, queries, k)
    ids = np.empty((len(queries), k), dtype=np.int64)
    similarities = np.empty((len(queries), k), dtype=np.float32)
    n_scores = len(queries) * len(vectors)
    step = max(1, min(QUERIES_AT_ONCE, NUMBERS_AT_ONCE // (4 * k)))
    with ExitStack() as stack:
        n_threads = 1
        if n_scores >= SCORES_WORTH_THREADS and len(queries) >= 2 * LEAST_QUERIES:
            n_threads = stack.enter_context(threads_of_one_blas_thread())
        if n_threads > 1:
            step = min(step, max(LEAST_QUERIES, -(-len(queries) // (2 * n_threads))))
        starts = range(0, len(queries), step)
        searches = [partial(_search, vectors, queries[i : i + step], k) for i in starts]
        results: list[Callable[[], Nearest]] = [*searches]
        if n_threads > 1:
            pool = ThreadPoolExecutor(n_threads)
            stack.callback(pool.shutdown, cancel_futures=True)
            results = [pool.submit(search).result for search in searches]
        watched = track(results, "exact search") if n_scores >= SCORES_WORTH_A_BAR else results
        for start, result in zip(starts, watched, strict=True):
            part = slice(start, start + step)
            ids[part], similarities[part] = result()
    return ids, similarities


def _search(vectors: np.ndarray, queries: np.ndarray, k: int) -> Nearest:
    """Search for some queries (Q, D) in one thread."""
    return _rescored(vectors, queries, _candidates(vectors, queries, k), k)


def _candidates(vectors: np.ndarray, queries: np.ndarray, k: int) -> Candidates:
    """Candidates that include, for every query, its k nearest of `vectors` (N, D)."""
    n, q = len(vectors), len(queries)
    width = min(n, max(k, NUMBERS_AT_ONCE // q // GROUP * GROUP))
    room = np.empty(width * q, dtype=np.float32)  # the same for all tiles: new pages cost time
    # Both the k-th score and a true neighbour's may be off by the rounding, hence twice.
    slack = 2 * rounding_bound(vectors.shape[1])
    kept = Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    threshold, pruned = np.empty(0), 0  # (q,); vectors seen when it was last raised
    for start in range(0, n, width):
        tile = vectors[start : start + width]
        scores = np.matmul(tile, queries.T, out=room[: len(tile) * q].reshape(len(tile), q))
        peaks = _peaks(scores)
        if start == 0:
            threshold = _kth_of(peaks if len(peaks) > 4 * k else scores, k) - slack
        ids, rows = _reaching(scores, peaks, threshold)
        added = Candidates(rows, start + ids, scores[ids, rows])
        kept = Candidates(*(np.concatenate(both) for both in zip(kept, added, strict=True)))
        seen = start + len(tile)
        full = len(kept.ids) > q * k + NUMBERS_AT_ONCE
        if full or 2 * pruned <= seen or seen == n:  # the k-th best rises little between
            kth = _kth_score(kept, q, k)
            threshold, pruned = kth - slack, seen
            keep = kept.scores >= threshold[kept.rows]
            kept = Candidates(*(values[keep] for values in kept))
        if full and len(kept.ids) > q * k + NUMBERS_AT_ONCE // 2:  # ties: decide them now
            ids, exact = _rescored(vectors, queries, kept, k)
            kept = Candidates(np.repeat(np.arange(q), k), ids.ravel(), exact.ravel())
    return kept


def _peaks(scores: np.ndarray) -> np.ndarray:
    """The maxima (N // GROUP, Q) of groups of `scores` (N, Q), but for the last rows."""
    apart = _apart(scores)
    whole = len(scores) // (GROUP * apart) * GROUP * apart
    peaks: np.ndarray = scores[:whole].reshape(-1, GROUP, apart * scores.shape[1]).max(axis=1)
    return peaks.reshape(-1, scores.shape[1])


def _apart(scores: np.ndarray) -> int:
    """Rows between two members of a group: numpy compares some thousand numbers fast, few not."""
    return max(1, RUN // int(scores.shape[1]))


def _reaching(
    scores: np.ndarray, peaks: np.ndarray, threshold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (P,), (P,) in `scores` (N, Q) of those that reach the `threshold` (Q,).

    Few `peaks` reach the threshold, and only the groups of those are looked into.
    """
    groups, queries = _where(peaks >= threshold)
    if len(groups) > peaks.size // WORTH_GROUPS:
        return _where(scores >= threshold)
    apart = _apart(scores)
    run, first = np.divmod(groups, apart)
    members = (run * GROUP * apart + first)[:, None] + apart * np.arange(GROUP)
    group, member = _where(scores[members, queries[:, None]] >= threshold[queries, None])
    grouped = len(peaks) * GROUP
    rows, columns = _where(scores[grouped:] >= threshold)
    return (
        np.concatenate([members[group, member], grouped + rows]),
        np.concatenate([queries[group], columns]),
    )


def _where(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the true ones; of two dimensions, numpy's nonzero is slow."""
    rows, columns = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return rows, columns


def _kth_score(candidates: Candidates, q: int, k: int) -> np.ndarray:
    """The k-th best score (q,) of each query, which has at least k candidates."""
    # One float64 key, which sorts faster than two: queries lie 4 apart, scores at most 2.
    keys = np.sort(4.0 * candidates.rows - candidates.scores)
    first = np.searchsorted(keys, 4.0 * np.arange(q) - 2.0)
    kth: np.ndarray = (4.0 * np.arange(q) - keys[first + k - 1]).astype(np.float32)
    return kth


def _kth_of(scores: np.ndarray, k: int) -> np.ndarray:
    """The k-th largest (Q,) in each column of `scores` (N, Q)."""
    kth: np.ndarray = np.partition(scores, len(scores) - k, axis=0)[len(scores) - k]
    return kth


def _rescored(vectors: np.ndarray, queries: np.ndarray, candidates: Candidates, k: int) -> Nearest:
    """Ids (Q, k) and similarities (Q, k) float32 of the best k of at least k candidates each."""
    exact = pair_dots(vectors, queries, candidates.ids, candidates.rows)
    ids, similarities = top_k(candidates.rows, candidates.ids, exact, len(queries), k)
    return ids, similarities.astype(np.float32)
