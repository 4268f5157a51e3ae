"""Unit rows, and the arithmetic by which every index ranks them: float64, in one fixed order.

Every index computes the similarities of the ids that it answers again as float64 dot products of
unit vectors, summed in one order, and sorts them by (-similarity, id). Indexes that answer the same
neighbours therefore agree to the last bit, ties and identical vectors included.
"""

from __future__ import annotations

import numpy as np

from devise_exp.core.errors import InputError

UNIT_TOLERANCE = 1e-7
ROWS_AT_ONCE = 1 << 16  # of mapped vectors that are read at a time
NUMBERS_AT_ONCE = 1 << 17  # float64 numbers of dot products at a time: 1 MB stays in the cache


def unit_rows(values: np.ndarray, title: str) -> np.ndarray:
    """Copy rows to float32 at unit length; rows of unit length keep their bits.

    Args:
        values: (N, D) numbers.
        title: What the rows are, for the message.

    Returns:
        (N, D) float32 unit rows.

    Raises:
        InputError: `values` is no matrix of numbers, or a row is all zero or not finite.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0]]), "queries").tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise InputError(
            f"{title}: found shape {values.shape} of {values.dtype}; "
            "give numbers (rows, dimensions), at least one row"
        )
    with np.errstate(over="ignore"):  # a number too large for float32 is reported below
        rows = np.array(values, dtype=np.float32, order="C")
    indices = np.arange(len(rows))
    with np.errstate(invalid="ignore"):
        length = np.sqrt(pair_dots(rows, rows, indices, indices))
    wrong = np.flatnonzero(~np.isfinite(length) | (length == 0))
    if len(wrong):
        fault = "is all zero" if length[wrong[0]] == 0 else "holds NaN or infinity"
        raise InputError(
            f"row {wrong[0]} of the {title} {fault} ({len(wrong)} of {len(rows)} rows are bad): "
            "leave such rows out, or correct what made them"
        )
    # Rounding to float32 moves a length by up to 6e-8; dividing again would change bits on load.
    length[np.abs(length - 1) <= UNIT_TOLERANCE] = 1.0
    np.divide(rows, length[:, None], out=rows, casting="same_kind")
    return rows


def candidate_rows(vectors: np.ndarray) -> np.ndarray:
    """Make the candidates of an index.

    Args:
        vectors: (N, D) of any length.

    Returns:
        (N, D) float32 unit rows, read-only; unit rows that are memory-mapped are not copied.

    Raises:
        InputError: A row is all zero or not finite.
    """
    if isinstance(vectors, np.memmap) and not vectors.flags.writeable and _are_unit(vectors):
        return vectors
    rows = unit_rows(vectors, "candidate vectors")
    rows.flags.writeable = False
    return rows


def _are_unit(vectors: np.ndarray) -> bool:
    """Whether `unit_rows` would change no bit of mapped rows; a block at a time is read."""
    if vectors.ndim != 2 or vectors.dtype != np.float32 or 0 in vectors.shape:
        return False
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        block = vectors[start : start + ROWS_AT_ONCE]
        indices = np.arange(len(block))
        with np.errstate(invalid="ignore", over="ignore"):
            length = np.sqrt(pair_dots(block, block, indices, indices))
        if not (np.abs(length - 1) <= UNIT_TOLERANCE).all():
            return False
    return True


def check_k(k: int, n_candidates: int) -> None:
    """Refuse a k that means nothing.

    Args:
        k: Number of candidates that count.
        n_candidates: Number of candidates that are ranked.

    Raises:
        InputError: k is not between 1 and the number of candidates.
    """
    if not 1 <= k <= n_candidates:
        raise InputError(
            f"k is {k}, but there are {n_candidates} candidates: "
            f"set k to a number from 1 to {n_candidates}"
        )


def checked_queries(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Check the arguments of a search.

    Args:
        vectors: (N, D) candidates.
        queries: (Q, D) of any length.
        k: Number of neighbours.

    Returns:
        The queries as (Q, D) float32 unit rows.

    Raises:
        InputError: `k` is outside 1 to N, the dimensions differ, or a query is all zero or not
            finite.
    """
    n, dim = vectors.shape
    check_k(k, n)
    queries = unit_rows(queries, "queries")
    if queries.shape[1] != dim:
        raise InputError(
            f"queries have {queries.shape[1]} dimensions, but the index has {dim}: "
            "embed them with the model and the word vectors that the index was made from"
        )
    return queries


def pair_dots(left: np.ndarray, right: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Compute dot products of pairs of rows, each summed in the same order.

    A product of two float32 is exact in float64, so only the order of the sum matters; BLAS and
    einsum change it with the size of the batch, a sum along the last axis does not.

    Args:
        left: (N, D) float32.
        right: (M, D) float32.
        i: (P,) rows of `left`.
        j: (P,) rows of `right`.

    Returns:
        (P,) float64.
    """
    dots = np.empty(len(i))
    step = max(1, NUMBERS_AT_ONCE // left.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        dots[part] = (left[i[part]].astype(np.float64) * right[j[part]]).sum(axis=1)
    return dots


def top_k(
    rows: np.ndarray, ids: np.ndarray, similarities: np.ndarray, n_rows: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sort triples by (-similarity, id) within each row and keep the first k.

    Args:
        rows: (P,) the row of each triple; every row has at least k triples.
        ids: (P,).
        similarities: (P,).
        n_rows: Number of rows.
        k: Number of ids to keep for each row.

    Returns:
        Ids (n_rows, k) and similarities (n_rows, k).
    """
    order = np.lexsort((ids, -similarities, rows))
    first = np.searchsorted(rows[order], np.arange(n_rows))
    chosen = order[first[:, None] + np.arange(k)]
    return ids[chosen], similarities[chosen]


def rounding_bound(dim: int) -> float:
    """Bound the error of a float32 dot product of unit vectors, summed in any order.

    Args:
        dim: Number of dimensions.

    Returns:
        The largest absolute error.
    """
    return float((dim + 16) * 2.0**-24)
