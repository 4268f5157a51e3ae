"""Vectors, every index by its name, and a slow search to compare with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from devise_exp.index.auto import AutoIndex
from devise_exp.index.exact import ExactIndex
from devise_exp.index.faiss_index import FaissIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index

MAKERS: dict[str, Callable[[np.ndarray], Index]] = {
    "exact": ExactIndex,
    "hnsw": NmslibIndex,
    "brute_force": lambda vectors: NmslibIndex(vectors, method="brute_force"),
    "auto": AutoIndex,
    "faiss": FaissIndex,
}


every_index = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def gaussian(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def clusters(n: int, dim: int, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(2, n // 50), dim))
    return centres[rng.integers(len(centres), size=n)] + noise * rng.normal(size=(n, dim))


def slow_search(index: Index, queries: np.ndarray, k: int) -> list[list[int]]:
    """Every candidate, in plain Python, on the unit vectors that the index holds."""
    candidates = index.vectors.astype(np.float64).tolist()
    answer = []
    for query in np.asarray(queries, dtype=np.float64).tolist():
        dots = [sum(a * b for a, b in zip(query, row, strict=True)) for row in candidates]
        answer.append(sorted(range(len(dots)), key=lambda i: (-dots[i], i))[:k])
    return answer


def assert_same(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])  # to the last bit
