"""What an approximate engine answers, ranked again by the arithmetic that every index shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devise_exp.index.exact_search import search_unit_rows
from devise_exp.index.unit_rows import pair_dots, rounding_bound, top_k

SPARE_NEIGHBOURS = 16  # asked for beyond k, so that a tie at the last rank shows


def rescored_answers(
    vectors: np.ndarray, queries: np.ndarray, answers: Sequence[np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Rank an engine's candidates in float64; search exactly where they leave a query open.

    A query is open if it has fewer than k distinct candidates, one out of range, or a tie at the
    last rank that float32 cannot decide.

    Args:
        vectors: (N, D) float32 unit rows.
        queries: (Q, D) float32 unit rows.
        answers: The ids of each query's candidates, in any order.
        k: Number of neighbours.

    Returns:
        Ids (Q, k) int64, similarities (Q, k) float32, and how many queries were searched exactly.
    """
    ids = np.empty((len(queries), k), dtype=np.int64)
    similarities = np.empty((len(queries), k), dtype=np.float32)
    settled, settled_ids, settled_similarities = _settled(vectors, queries, answers, k)
    ids[settled], similarities[settled] = settled_ids, settled_similarities
    if not settled.all():
        rest = ~settled
        ids[rest], similarities[rest] = search_unit_rows(vectors, queries[rest], k)
    return ids, similarities, int((~settled).sum())


def _settled(
    vectors: np.ndarray, queries: np.ndarray, answers: Sequence[np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which queries (Q,) are settled, and the ids and similarities (settled, k) of those."""
    n, dim = vectors.shape
    sound = np.array([_is_sound(ids, n, k) for ids in answers])
    if not sound.any():
        return sound, np.empty((0, k), dtype=np.int64), np.empty((0, k), dtype=np.float32)
    kept = [ids for ids, good in zip(answers, sound, strict=True) if good]
    counts = np.array([len(ids) for ids in kept])
    rows = np.repeat(np.arange(len(kept)), counts)
    ids = np.concatenate(kept).astype(np.int64)
    exact = pair_dots(vectors, queries[sound], ids, rows)
    top_ids, similarities = top_k(rows, ids, exact, len(kept), k)
    # To the engine's float32, a candidate left out is no nearer than the last one returned.
    last = np.minimum.reduceat(exact, np.cumsum(counts) - counts)
    sure = (counts == n) | (similarities[:, -1] - last > 2 * rounding_bound(dim))
    settled = sound.copy()
    settled[sound] = sure
    return settled, top_ids[sure], similarities[sure].astype(np.float32)


def _is_sound(ids: np.ndarray, n: int, k: int) -> bool:
    """Whether one query's candidates are at least k distinct ids in range."""
    return bool(
        k <= len(ids) and ids.min() >= 0 and ids.max() < n and len(np.unique(ids)) == len(ids)
    )
