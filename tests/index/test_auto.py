"""The index that builds a graph once it pays."""

from __future__ import annotations

import pytest
from helpers.indexes import assert_same, gaussian

from devise_exp.index import auto
from devise_exp.index.auto import AutoIndex
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex


def test_auto_builds_a_graph_once_vectors_and_queries_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auto, "WORTH_A_GRAPH", 100)
    vectors, queries = gaussian(100, 8), gaussian(60, 8, seed=1)
    few, many = AutoIndex(vectors[:99]), AutoIndex(vectors)
    expected = ExactIndex(vectors).search(queries, 5)
    for _ in range(2):
        few.search(queries, 5)
        assert many.graph is None
        assert_same(many.search(queries, 5), expected)
    assert few.graph is None
    assert many.graph is not None
    assert_same(many.search(queries, 5), NmslibIndex(vectors).search(queries, 5))
