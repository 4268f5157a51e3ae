"""Saved indexes: the same answers, or one line about the damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.indexes import assert_same, every_index, gaussian

from devise_exp.core.errors import InputError
from devise_exp.index.exact import ExactIndex
from devise_exp.index.nmslib_index import NmslibIndex
from devise_exp.index.protocol import Index
from devise_exp.index.saved import load


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
    [{"format": 2}, {"name": "annoy"}, {"settings": {"M": 3}}, {"settings": 3}, {"checksums": {}}],
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
