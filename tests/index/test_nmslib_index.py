"""nmslib's indexes against exact search, on real graphs."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.indexes import assert_same, clusters, gaussian

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex


@pytest.mark.parametrize(
    "vectors",
    [
        *(gaussian(25, 50), gaussian(100, 300), gaussian(1500, 50), gaussian(1000, 300)),
        *(clusters(1000, 50, 0.3), clusters(1000, 300, 0.02), clusters(1000, 300, 1e-4)),
    ],
    ids=lambda vectors: f"{vectors.shape}",
)
def test_label_sets_have_full_recall_by_default(vectors: np.ndarray) -> None:
    queries = np.concatenate([gaussian(50, vectors.shape[1], seed=1), vectors[:50] + 1e-3])
    answer = ExactIndex(vectors).search(queries, 20)
    hnsw, brute = NmslibIndex(vectors), NmslibIndex(vectors, method="brute_force")
    assert_same(hnsw.search(queries, 20), answer)
    assert_same(brute.search(queries, 20), answer)


def test_nmslib_itself_answers_where_nothing_is_tied() -> None:
    index = NmslibIndex(gaussian(500, 50))
    index.search(gaussian(100, 50, seed=1), 10)
    assert index.exact_answers == 0


def test_hnsw_that_finds_fewer_than_k_is_answered_exactly() -> None:
    vectors = clusters(400, 20, 0.02)[np.random.default_rng(1).integers(12, size=400)]
    index = NmslibIndex(vectors, m=2, ef_construction=4, ef_search=1)
    queries = vectors[:30]
    raw = index._engine.knnQueryBatch(ExactIndex(queries).vectors, k=200)
    assert min(len(ids) for ids, _ in raw) < 200  # nmslib really falls short here
    assert_same(index.search(queries, 200), ExactIndex(vectors).search(queries, 200))
    assert index.exact_answers > 0


def test_hnsw_with_narrow_settings_still_answers_k_sorted_distinct_ids() -> None:
    index = NmslibIndex(gaussian(3000, 30), m=2, ef_construction=2, ef_search=1)
    ids, similarities = index.search(gaussian(50, 30, seed=1), 10)
    assert ids.shape == similarities.shape == (50, 10)
    assert ids.dtype == np.int64
    assert similarities.dtype == np.float32
    assert all(len(set(row)) == 10 for row in ids.tolist())
    assert (np.diff(similarities, axis=1) <= 0).all()
    exact, _ = ExactIndex(index.vectors).search(gaussian(50, 30, seed=1), 10)
    assert (ids != exact).any()  # these settings do lose neighbours: the settings reach nmslib


@pytest.mark.parametrize(
    "wrong",
    [{"m": 1}, {"ef_construction": 0}, {"ef_search": 0}, {"m": "16"}, {"method": "napp"}],
    ids=str,
)
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=str(next(iter(wrong.values())))):
        NmslibIndex(gaussian(5, 3), **wrong)  # type: ignore[arg-type]
