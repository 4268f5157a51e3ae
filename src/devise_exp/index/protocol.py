"""What every index offers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from devise_exp.index.exact_search import (
    unit_rows,
)


class Index(Protocol):
    """Nearest neighbours of a query among N candidate vectors.

    `vectors` (N, D) float32 are the candidates at unit length, read-only; an id is a row of it.
    """

    name: str
    vectors: np.ndarray

    def __len__(self) -> int: ...

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids (Q, k) int64 and cosine similarities (Q, k) float32 of `queries` (Q, D), best first.

        InputError for a bad query row, no queries, another D, or k outside 1 to N.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the index as `folder` (an index already there is replaced); `load` reads it."""
        ...


def candidate_rows(vectors: np.ndarray) -> np.ndarray:
    rows = unit_rows(vectors, "candidate vectors")
    rows.flags.writeable = False
    return rows
