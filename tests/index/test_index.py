"""What every index must answer, held to a slow exact search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers.indexes import MAKERS, assert_same, every_index, gaussian, slow_search
from helpers.paths import CONF
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index

GROUP = CONF / "index"


# Vectors of +1 and -1 have one length, so their cosines tie exactly and often.
@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_ties_and_repeated_vectors_go_to_the_lower_id(name: str, data: st.DataObject) -> None:
    dim = data.draw(st.sampled_from([1, 4, 16]))  # a square, so that unit rows are exact
    sign = st.lists(st.sampled_from([-1, 1]), min_size=dim, max_size=dim)
    vectors = np.array(data.draw(st.lists(sign, min_size=1, max_size=60)))
    queries = np.array(data.draw(st.lists(sign, min_size=1, max_size=5)))
    k = data.draw(st.integers(1, len(vectors)))
    index = MAKERS[name](vectors)
    ids, similarities = index.search(queries, k)
    cosines = queries @ vectors.T / dim  # exact: halves and quarters
    expected = [sorted(range(len(vectors)), key=lambda i: (-row[i], i))[:k] for row in cosines]
    assert ids.tolist() == expected
    np.testing.assert_array_equal(similarities, np.take_along_axis(cosines, ids, axis=1))


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 60),
    dim=st.integers(1, 33),
    seed=st.integers(0, 10_000),
    repeated=st.booleans(),
    share=st.floats(0, 1),
)
def test_all_indexes_equal_the_slow_search_to_the_last_bit(
    n: int, dim: int, seed: int, repeated: bool, share: float
) -> None:
    rng = np.random.default_rng(seed)
    vectors = gaussian(n, dim, seed)
    if repeated:
        vectors = vectors[rng.integers(n, size=n)]
    queries = gaussian(4, dim, seed + 1)
    k = max(1, round(share * n))
    exact = ExactIndex(vectors)
    answer = exact.search(queries, k)
    unit = ExactIndex(queries).vectors  # the queries as the index sees them
    assert answer[0].tolist() == slow_search(exact, unit, k)
    assert_same(NmslibIndex(vectors).search(queries, k), answer)
    assert_same(NmslibIndex(vectors, method="brute_force").search(queries, k), answer)


@every_index
def test_a_query_has_the_same_answer_alone_as_in_a_batch(
    make: Callable[[np.ndarray], Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, queries = make(gaussian(300, 37)), gaussian(9, 37, seed=1)
    together = index.search(queries, 7)
    for row, query in enumerate(queries):
        ids, similarities = index.search(query[None], 7)
        assert_same((ids[0], similarities[0]), (together[0][row], together[1][row]))
    monkeypatch.setattr("devise_exp.index.exact_search.NUMBERS_AT_ONCE", 700)  # many small tiles
    assert_same(index.search(queries, 7), together)


@every_index
def test_vectors_and_queries_of_any_length_are_normalized(
    make: Callable[[np.ndarray], Index],
) -> None:
    given_vectors = np.array([[3.0, 4.0], [-10.0, 0.0], [0.0, 1e-20]])
    kept = given_vectors.copy()
    index = make(given_vectors)
    assert len(index) == 3
    np.testing.assert_array_equal(given_vectors, kept)
    expected = np.array([[0.6, 0.8], [-1, 0], [0, 1]], dtype=np.float32)
    np.testing.assert_array_equal(index.vectors, expected)
    ids, similarities = index.search(np.array([[1e15, 0.0]]), 3)
    assert ids.tolist() == [[0, 2, 1]]
    np.testing.assert_array_equal(similarities, np.array([[0.6, 0, -1]], dtype=np.float32))
    with pytest.raises(ValueError, match="read-only"):
        index.vectors[0, 0] = 1


@every_index
@pytest.mark.parametrize("k", [0, -1, 6])
def test_k_outside_the_candidates_says_how_many_there_are(
    make: Callable[[np.ndarray], Index], k: int
) -> None:
    with pytest.raises(InputError, match=rf"k is {k}, .* 5 candidates: set k .* 1 to 5"):
        make(gaussian(5, 3)).search(gaussian(1, 3), k)


@every_index
@pytest.mark.parametrize(
    ("row", "fault"),
    [([0, 0, 0], "all zero"), ([1, np.nan, 0], "NaN"), ([1e39, 0, 0], "NaN or inf")],
)
def test_a_bad_row_is_named(
    make: Callable[[np.ndarray], Index], row: list[float], fault: str
) -> None:
    bad = np.array([[1.0, 2, 3], row, [3, 2, 1]])
    with pytest.raises(InputError, match=f"row 1 of the candidate vectors .*{fault}.*1 of 3"):
        make(bad)
    with pytest.raises(InputError, match=f"row 1 of the queries .*{fault}"):
        make(gaussian(5, 3)).search(bad, 1)


@every_index
@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 0), (1, 2, 3)])
def test_a_wrong_shape_is_named(
    make: Callable[[np.ndarray], Index], shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match="candidate vectors: found shape"):
        make(np.ones(shape))
    with pytest.raises(InputError, match="queries: found shape"):
        make(gaussian(5, 3)).search(np.ones(shape), 1)
    with pytest.raises(InputError, match="queries have 4 dimensions, but the index has 3"):
        make(gaussian(5, 3)).search(np.ones((2, 4)), 1)


@pytest.mark.parametrize("option", MAKERS)
def test_the_config_makes_the_index_of_its_name(option: str) -> None:
    make = instantiate(OmegaConf.load(GROUP / f"{option}.yaml"))
    index = make(gaussian(30, 8))
    assert index.name == option
    assert len(index) == 30
    assert_same(
        index.search(gaussian(3, 8, 1), 4), ExactIndex(gaussian(30, 8)).search(gaussian(3, 8, 1), 4)
    )
