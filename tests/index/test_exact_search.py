"""Exact search: float32 prunes, float64 decides, in tiles of any size."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from helpers.indexes import clusters, gaussian, slow_search
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from devise_exp.index import exact_search
from devise_exp.index.exact import ExactIndex


def test_exact_search_orders_what_float32_scores_cannot() -> None:
    vectors = clusters(600, 300, 3e-4)
    index = ExactIndex(vectors)
    cosines = index.vectors.astype(np.float64) @ index.vectors[:40].astype(np.float64).T
    expected = np.argsort(-cosines.T, axis=1)[:, :10]
    rounded = np.argsort(-(index.vectors @ index.vectors[:40].T).T, axis=1)[:, :10]
    assert set(expected[0]) != set(rounded[0])  # the float32 product alone is not enough
    np.testing.assert_array_equal(index.search(index.vectors[:40], 10)[0], expected)


def test_exact_search_of_many_candidates_equals_float64() -> None:
    vectors = np.sort(clusters(5003, 8, 0.1), axis=0)  # neighbours lie in a row
    index, queries = ExactIndex(vectors), ExactIndex(gaussian(60, 8, seed=1)).vectors
    cosines = queries.astype(np.float64) @ index.vectors.astype(np.float64).T
    for k in (1, 10, 30, 5003):
        expected = np.argsort(-cosines, axis=1)[:, :k]
        np.testing.assert_array_equal(index.search(queries, k)[0], expected)


@pytest.mark.parametrize("n_queries", [1, 7, 300, 1100])
def test_exact_search_that_looks_into_few_groups_equals_float64(
    n_queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devise_exp.index.exact_search.NUMBERS_AT_ONCE", 1 << 20)
    vectors = gaussian(20_011, 24)  # the last rows fill no group
    vectors[15_000:15_400] = vectors[300:700]  # ties, many tiles later
    index, queries = ExactIndex(vectors), ExactIndex(gaussian(n_queries, 24, seed=1)).vectors
    ids, similarities = index.search(queries, 10)
    for query in {*range(min(n_queries, 12)), n_queries - 1}:
        cosines = (index.vectors * queries[query].astype(np.float64)).sum(axis=1)
        expected = np.argsort(-cosines, kind="stable")[:10]
        np.testing.assert_array_equal(ids[query], expected)
        np.testing.assert_array_equal(similarities[query], cosines[expected].astype(np.float32))


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 300),
    different=st.integers(1, 300),
    n_queries=st.integers(1, 9),
    at_once=st.integers(1, 900),
    seed=st.integers(0, 10_000),
    share=st.floats(0, 1),
)
def test_exact_search_in_tiles_equals_the_slow_search(
    n: int, different: int, n_queries: int, at_once: int, seed: int, share: float
) -> None:
    # Few different vectors are many ties, of which a tile may hold more than there is room for.
    drawn = np.random.default_rng(seed).integers(min(n, different), size=n)
    index = ExactIndex(gaussian(n, 5, seed)[drawn])
    queries = ExactIndex(gaussian(n_queries, 5, seed + 1)).vectors
    k = max(1, round(share * n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("devise_exp.index.exact_search.NUMBERS_AT_ONCE", at_once)
        ids, _ = index.search(queries, k)
    assert ids.tolist() == slow_search(index, queries, k)


def test_exact_search_of_nothing_but_ties_keeps_few_candidates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n, queries = 100_000, gaussian(64, 4)
    monkeypatch.setattr("devise_exp.index.exact_search.NUMBERS_AT_ONCE", 1 << 17)
    index = ExactIndex(np.ones((n, 4)))
    tracemalloc.start()
    ids, _ = index.search(queries, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (ids == np.arange(3)).all()
    assert peak < 64 * n * 8  # an id for every query and vector would be as much alone


@pytest.mark.parametrize("n_queries", [7, 6, 5])  # in four parts, in two, and in one
def test_several_threads_find_what_one_finds(
    n_queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, queries = ExactIndex(gaussian(500, 8)), gaussian(n_queries, 8, seed=1)
    expected = index.search(queries, 4)
    threads, search = list[str](), exact_search._search

    def traced(*args: Any) -> exact_search.Nearest:
        threads.append(threading.current_thread().name)
        return search(*args)

    monkeypatch.setattr(exact_search, "_search", traced)
    monkeypatch.setattr(exact_search, "SCORES_WORTH_THREADS", 1)
    monkeypatch.setattr(exact_search, "LEAST_QUERIES", 2 if n_queries > 6 else 3)
    with threadpool_limits(2, user_api="blas"):
        actual = index.search(queries, 4)
    assert len(threads) == {7: 4, 6: 2, 5: 1}[n_queries]
    assert (threading.current_thread().name in threads) == (n_queries == 5)
    for values, others in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(values, others)
