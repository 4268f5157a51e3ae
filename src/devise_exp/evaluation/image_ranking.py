"""Ranking a gallery of images for queries by cosine, in blocks, and measuring each ranking."""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.evaluation.metrics.retrieval import average_precision, precision_at_k

KS = (1, 5, 10)
NUMBERS_AT_ONCE = 1 << 22  # in the largest array of a block: 32 MB of ranks

Shares = dict[tuple[str, int | None], np.ndarray]  # (metric, k) -> (Q,) its value for each query


def rank_images(
    queries: np.ndarray,
    classes: np.ndarray,
    vectors: np.ndarray,
    truth: np.ndarray,
    query_rows: np.ndarray | None = None,
) -> Shares:
    """Rank all images for every query, and measure the rankings.

    Args:
        queries: (Q, D) rows.
        classes: (Q, n) class ids whose images are relevant.
        vectors: (N, D) rows of the images.
        truth: (N,) class ids of the images.
        query_rows: (Q,) row of each query among the images, which is left out; None if the queries
            are no images.

    Returns:
        P@k and AP of each query.

    Raises:
        InputError: A vector holds NaN or infinity.
    """
    vectors, queries = finite_unit_rows(vectors, "images"), finite_unit_rows(queries, "queries")
    n = len(vectors) - (query_rows is not None)
    ks = [k for k in KS if k < n]  # P@n is the share of relevant images, however they are ranked
    parts: list[list[np.ndarray]] = []
    step = max(1, NUMBERS_AT_ONCE // len(vectors))
    for block in (slice(start, start + step) for start in range(0, len(queries), step)):
        similarity = _cosines(queries[block], vectors)  # (B, N)
        is_relevant = np.zeros(similarity.shape, dtype=bool)
        for named in classes[block].T:
            is_relevant |= truth == named[:, None]
        if query_rows is not None:  # the query itself comes last, and is cut off
            itself = np.arange(len(similarity)), query_rows[block]
            similarity[itself], is_relevant[itself] = -np.inf, False
        relevant = _ranked(similarity, is_relevant)[:, :n]
        precision = [precision_at_k(relevant, k) for k in ks]
        parts.append([*precision, average_precision(relevant)])
    names: list[tuple[str, int | None]] = [*(("P", k) for k in ks), ("mAP", None)]
    return dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def _ranked(similarity: np.ndarray, is_relevant: np.ndarray) -> np.ndarray:
    """Rank the images (B, N) of each query; tell which of them are relevant, best first.

    Only the ranks of relevant images are needed, and to sort numbers takes a fraction of the time
    of sorting row numbers. Images of the same similarity stay in row order.
    """
    ranked = np.zeros(similarity.shape, dtype=bool)
    for lowered, relevant, result in zip(-similarity, is_relevant, ranked, strict=True):
        numbers, values = np.sort(lowered), lowered[relevant]
        ranks = numbers.searchsorted(values)
        if (numbers.searchsorted(values, side="right") - ranks > 1).any():
            result[:] = relevant[np.argsort(lowered, kind="stable")]
        else:
            result[ranks] = True
    return ranked


def _cosines(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Compute (B, N) float32 cosines of unit rows.

    Sums are in float64, so that neither the size of a block nor the
    processor's order of summing decides between images, and twins tie.
    """
    similarity = np.empty((len(queries), len(vectors)), dtype=np.float32)
    step = max(1, NUMBERS_AT_ONCE // vectors.shape[1])
    wide = queries.astype(np.float64)
    for start in range(0, len(vectors), step):
        part = vectors[start : start + step].astype(np.float64)
        similarity[:, start : start + step] = wide @ part.T
    return similarity


def finite_unit_rows(vectors: np.ndarray, what: str) -> np.ndarray:
    """Scale rows to unit length.

    Args:
        vectors: (N, D) rows.
        what: What they are, for the message.

    Returns:
        (N, D) float32 rows of length 1, or of length 0: those are like nothing.

    Raises:
        InputError: A row holds NaN or infinity.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        row = np.flatnonzero(~np.isfinite(lengths[:, 0]))[0]
        raise InputError(
            f"row {row} of the {what} holds NaN or infinity: leave such rows out, or correct their "
            "source"
        )
    return normalize_rows(vectors)
