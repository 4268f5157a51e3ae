"""Words and labels nearest to vectors, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.index.exact_search import search_unit_rows
from devise_exp.search.saved_run import Run

Neighbours = list[tuple[str, float]]  # words or labels with their similarity, nearest first


def checked_k(k: int | None, default: int, n: int, what: str) -> int:
    """Check how many things are asked for.

    Args:
        k: Their number; None for the default.
        default: The usual number.
        n: How many there are.
        what: What they are, for the message.

    Returns:
        The number, that of all if the default is more.

    Raises:
        InputError: If there are none, or k is not between 1 and their number.
    """
    if not n:
        raise InputError(f"there are no {what}: choose another gallery")
    if k is None:
        return min(default, n)
    if not 1 <= k <= n:
        raise InputError(f"k is {k}, but there are {n:,} {what}: give a number from 1 to {n}")
    return k


def frequent_vectors(run: Run, most_frequent: int | None) -> np.ndarray:
    """Take the vectors of the vocabulary, or of its first words.

    Args:
        run: The run.
        most_frequent: Number of words, None for all.

    Returns:
        (V, D): a view, memory-mapped.

    Raises:
        InputError: If the vocabulary lists no words, or fewer.
    """
    vectors = run.vocabulary.vectors
    if not len(vectors):
        raise InputError(
            f"the word vectors {run.vocabulary.name} list no words to search: ask a run with others"
        )
    if most_frequent is not None and not 1 <= most_frequent <= len(vectors):
        raise InputError(
            f"the {most_frequent} most frequent words: {run.vocabulary.name} has {len(vectors):,}, "
            "give a number from 1 to that"
        )
    return vectors[:most_frequent]


def nearest(
    table: np.ndarray, name_of: Callable[[int], str], queries: np.ndarray, k: int
) -> list[Neighbours]:
    """Search a table for the rows nearest to queries.

    Args:
        table: (V, D) unit rows.
        name_of: Name of a row.
        queries: (Q, D) of any length.
        k: Number of rows.

    Returns:
        For every query, the names of its k nearest rows with their cosine.
    """
    return named(name_of, *search_unit_rows(table, queries, k))


def named(
    name_of: Callable[[int], str], ids: np.ndarray, similarities: np.ndarray
) -> list[Neighbours]:
    """Name the rows that a search has found.

    Args:
        name_of: Name of a row.
        ids: (Q, k) rows.
        similarities: (Q, k) their similarities.

    Returns:
        For every query, names with their similarity.
    """
    return [
        [(name_of(int(i)), float(s)) for i, s in zip(row, of_row, strict=True)]
        for row, of_row in zip(ids, similarities, strict=True)
    ]
