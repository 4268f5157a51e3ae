"""The interface of every index."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np


class Index(Protocol):
    """Nearest neighbours by cosine among N candidate vectors.

    Any function or class that takes vectors (N, D) and returns such an object can be the config's
    index:

        index:
          _target_: my_package.MyIndex
          _partial_: true

    Attributes:
        name: Name of the index, kept when it is saved.
        vectors: (N, D) float32 candidates at unit length, read-only; an id is a row of it.
    """

    name: str
    vectors: np.ndarray

    def __len__(self) -> int: ...

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Search the nearest neighbours of queries.

        Args:
            queries: (Q, D) of any length.
            k: Number of neighbours, 1 to N.

        Returns:
            Ids (Q, k) int64 and cosine similarities (Q, k) float32, best first, ties by id.

        Raises:
            InputError: `k` is outside 1 to N, the dimensions differ, or a query is all zero or not
                finite.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the index; `load` reads it.

        Args:
            folder: A new folder, or that of an index, which is replaced.

        Raises:
            InputError: The folder holds something else.
        """
        ...
