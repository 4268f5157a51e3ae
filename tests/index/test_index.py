"""The indexes against a slow exact search, on real nmslib graphs and real files."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import CONF
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.index import auto
from devise_exp.index.auto import AutoIndex
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index
from devise_exp.index.saved import load

GROUP = CONF / "index"
MAKERS: dict[str, Callable[[np.ndarray], Index]] = {
    "exact": ExactIndex,
    "hnsw": NmslibIndex,
    "brute_force": lambda vectors: NmslibIndex(vectors, method="brute_force"),
    "auto": AutoIndex,
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


# Vectors of +1 and -1 have one length, so their cosines tie exactly and often.
@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
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


@pytest.mark.parametrize("dim", [1, 2, 3, 50])
def test_unit_rows_keep_their_bits(dim: int) -> None:
    unit = ExactIndex(gaussian(3000, dim)).vectors
    np.testing.assert_array_equal(ExactIndex(unit).vectors, unit)
    np.testing.assert_allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1, atol=1e-7)


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


def test_two_builds_give_the_same_graph() -> None:
    # Narrow settings: the answers depend on the graph, so a graph that differs would show.
    vectors, queries = gaussian(2000, 30), gaussian(100, 30, seed=1)
    ids = [
        NmslibIndex(vectors, m=4, ef_construction=20, ef_search=10).search(queries, 5)[0]
        for _ in range(3)
    ]
    assert (ids[0] != ExactIndex(vectors).search(queries, 5)[0]).any()
    np.testing.assert_array_equal(ids[1], ids[0])
    np.testing.assert_array_equal(ids[2], ids[0])


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


@pytest.mark.parametrize("dtype", ["U3", object, complex, bool])
def test_vectors_that_are_not_numbers_are_refused(dtype: object) -> None:
    with pytest.raises(InputError, match="give numbers"):
        ExactIndex(np.ones((2, 2)).astype(dtype))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "wrong",
    [{"m": 1}, {"ef_construction": 0}, {"ef_search": 0}, {"m": "16"}, {"method": "napp"}],
    ids=str,
)
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=str(next(iter(wrong.values())))):
        NmslibIndex(gaussian(5, 3), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", MAKERS)
def test_the_config_makes_the_index_of_its_name(option: str) -> None:
    make = instantiate(OmegaConf.load(GROUP / f"{option}.yaml"))
    index = make(gaussian(30, 8))
    assert index.name == option
    assert len(index) == 30
    assert_same(
        index.search(gaussian(3, 8, 1), 4), ExactIndex(gaussian(30, 8)).search(gaussian(3, 8, 1), 4)
    )


@every_index
def test_save_and_load_give_the_same_answers(
    make: Callable[[np.ndarray], Index], tmp_path: Path
) -> None:
    index, queries = make(gaussian(300, 20)), gaussian(20, 20, seed=1)
    index.save(tmp_path / "deep" / "index")
    loaded = load(tmp_path / "deep" / "index")
    assert type(loaded) is type(index)
    assert (loaded.name, len(loaded)) == (index.name, 300)
    np.testing.assert_array_equal(loaded.vectors, index.vectors)
    assert_same(loaded.search(queries, 300), index.search(queries, 300))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["index"]  # nothing left over


def test_load_restores_the_graph_and_its_settings(tmp_path: Path) -> None:
    vectors, queries = gaussian(2000, 30), gaussian(100, 30, seed=1)
    index = NmslibIndex(vectors, m=4, ef_construction=20, ef_search=10)
    index.save(tmp_path / "index")
    answer = index.search(queries, 5)
    assert (answer[0] != ExactIndex(vectors).search(queries, 5)[0]).any()  # the graph shows
    assert_same(load(tmp_path / "index").search(queries, 5), answer)


def test_an_index_can_be_saved_again_before_and_after_loading(tmp_path: Path) -> None:
    # nmslib 2.1 saves a graph that it loaded as a file that crashes the process on a search.
    vectors, queries = gaussian(2000, 30), gaussian(100, 30, seed=1)
    index = NmslibIndex(vectors, m=4, ef_construction=20, ef_search=10)
    index.save(tmp_path / "one")
    index.save(tmp_path / "two")
    load(tmp_path / "two").save(tmp_path / "three")
    load(tmp_path / "three").save(tmp_path / "three")  # in place
    answer = index.search(queries, 5)
    for name in ("one", "two", "three"):
        assert_same(load(tmp_path / name).search(queries, 5), answer)


def test_save_replaces_an_index_but_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()  # an empty folder is free to use
    NmslibIndex(gaussian(30, 5)).save(folder)
    ExactIndex(gaussian(7, 5)).save(folder)
    assert (load(folder).name, len(load(folder))) == ("exact", 7)
    assert sorted(path.name for path in folder.iterdir()) == ["meta.json", "vectors.npy"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="is no index"):
        ExactIndex(gaussian(7, 5)).save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "harm", [truncate, flip, empty, Path.unlink], ids=lambda harm: harm.__name__
)
@pytest.mark.parametrize("file", ["graph.bin", "vectors.npy"])
def test_a_harmed_file_is_an_error_not_a_crash(
    file: str, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    NmslibIndex(gaussian(50, 5)).save(tmp_path / "index")
    harm(tmp_path / "index" / file)
    with pytest.raises(InputError, match=f"cannot be read .*{file}.*train the run again"):
        load(tmp_path / "index")


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"name": "faiss"}, {"settings": {"M": 3}}, {"settings": 3}, {"checksums": {}}],
    ids=str,
)
def test_a_meta_file_that_does_not_fit_is_an_error(
    change: dict[str, object], tmp_path: Path
) -> None:
    NmslibIndex(gaussian(50, 5)).save(tmp_path / "index")
    meta = tmp_path / "index" / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | change))
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "index")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_a_meta_file_that_is_junk_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "absent")


def test_a_build_in_a_new_process_is_quiet_and_gives_the_same_graph() -> None:
    code = (
        "import numpy as np, hashlib, logging; logging.basicConfig(level=logging.INFO)\n"
        "from devise_exp.index import NmslibIndex\n"
        "vectors = np.random.default_rng(0).normal(size=(2000, 30)).astype('f')\n"
        "index = NmslibIndex(vectors, m=4, ef_construction=20, ef_search=10)\n"
        "ids, _ = index.search(vectors[:100] + 1, 5)\n"
        "print(hashlib.sha256(ids.tobytes()).hexdigest())\n"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0]
    assert [run.stderr for run in runs] == [b"", b""]
    assert len(runs[0].stdout.split()) == 1
    assert runs[0].stdout == runs[1].stdout
