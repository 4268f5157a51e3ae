from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from helpers.word_vectors import KINDS, agree, save, tables, text, unit
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    WordVectors,
    load_word_vectors,
)
from devise_exp.text.word_vectors.sources import Chunk, VectorSource
from devise_exp.text.word_vectors.table import open_table
from devise_exp.text.word_vectors.table_writer import write_table


def test_padding_repeats_and_empty_words_are_dropped_and_counted(
    tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("<pad> 0 0\nemu 1 0\nokapi 0 2\nemu 0 1\n 5 5\ndeer 3 4\n")
    ours = load_word_vectors(path)
    assert list(ours.words) == ["emu", "okapi", "deer"]
    np.testing.assert_allclose(ours.vectors, [[1, 0], [0, 1], [0.6, 0.8]], atol=1e-7)
    meta = json.loads((tables(cache)[0] / "meta.json").read_text())
    assert meta["dropped"] == {"empty_words": 1, "zero_vectors": 1, "repeated_words": 1}


CASED = ["the", "The", "Okapi", "THE", "ÉMU", "émU", "okapi", "Straße", "new_york", "New_York"]


LOWER = {"the": 0, "okapi": 2, "ému": 4, "straße": 7, "new_york": 8}  # word: the row it is from


@pytest.mark.parametrize("kind", [*KINDS, "kv"])
def test_lower_cased_words_keep_the_first_spelling_and_then_the_limit_counts(
    kind: str, tmp_path: Path, cache: Path
) -> None:
    table = KeyedVectors(6)
    table.add_vectors(CASED, np.random.default_rng(5).normal(size=(10, 6)).astype(np.float32))
    path = tmp_path / "cased.kv"
    if kind == "kv":
        table.save(str(path))
    else:
        path = save(table, kind, tmp_path)
    ours = load_word_vectors(path, lower=True, trust_pickle=True)
    assert list(ours.words) == list(LOWER)
    np.testing.assert_allclose(ours.vectors, unit(table.vectors[[*LOWER.values()]]), atol=1e-6)
    assert "The" not in ours
    assert ours.rank("ému") == 2
    meta = json.loads((cache / ours.fingerprint / "meta.json").read_text())
    assert meta["dropped"]["repeated_words"] == 5
    fourth = load_word_vectors(
        path, limit=4, lower=True, trust_pickle=True
    )  # the eighth word of the file
    assert list(fourth.words) == list(LOWER)[:4]
    as_written = load_word_vectors(path, trust_pickle=True)
    assert list(as_written.words) == CASED
    assert len({ours.fingerprint, fourth.fingerprint, as_written.fingerprint}) == 3
    assert (
        load_word_vectors(path, lower=False, trust_pickle=True).fingerprint
        == as_written.fingerprint
    )


@pytest.mark.parametrize(
    "part", ["vectors.f32", "words.utf8", "offsets.u64", "hashes.u64", "rows.u32", "meta.json"]
)
@pytest.mark.parametrize("harm", ["cut", "remove"])
def test_damaged_table_is_rebuilt(
    part: str, harm: str, keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    path = save(keyed, "vec", tmp_path)
    load_word_vectors(path)
    target = tables(cache)[0] / part
    if harm == "cut":
        target.write_bytes(target.read_bytes()[:-3])
    else:
        target.unlink()
    agree(load_word_vectors(path), keyed)
    assert open_table(tables(cache)[0]) is not None


def test_damaged_subword_table_is_rebuilt(fasttext_file: Path, cache: Path) -> None:
    before = load_word_vectors(fasttext_file).vector("okapis")
    (tables(cache)[0] / "ngrams.f32").write_bytes(b"")
    np.testing.assert_array_equal(load_word_vectors(fasttext_file).vector("okapis"), before)


def test_concurrent_first_use_gives_one_good_table(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "glove.txt"
    rng = np.random.default_rng(0)
    path.write_text(text([f"w{i}" for i in range(4000)], rng.normal(size=(4000, 5))))
    program = (
        "import sys; from devise_exp.text import load_word_vectors;"
        "wv = load_word_vectors(sys.argv[1]);"
        "print(len(wv), wv.fingerprint, wv.vector('w3999').tolist())"
    )
    command = [sys.executable, "-c", program, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    ours = load_word_vectors(path)
    assert said == {f"4000 {ours.fingerprint} {ours.vector('w3999').tolist()}\n"}
    assert len(tables(cache)) == 1


VOCABULARIES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None)
@given(words=VOCABULARIES, other=st.text(max_size=8), data=st.data())
def test_a_table_gives_back_what_was_written(
    words: list[str], other: str, data: st.DataObject
) -> None:
    numbers = st.floats(-(2.0**100), 2.0**100, width=32)
    vectors = data.draw(npst.arrays(np.float32, (len(words), 3), elements=numbers))
    limit = data.draw(st.none() | st.integers(1, 30))
    expected: dict[str, np.ndarray] = {}
    for word, vector in zip(words, vectors.astype(np.float64), strict=True):
        whole = limit is not None and len(expected) == limit
        if vector.any() and not whole:
            expected.setdefault(word, unit(vector))

    chunks = (
        Chunk([w.encode()], v[None], i, 0)
        for i, (w, v) in enumerate(zip(words, vectors, strict=True))
    )
    source = VectorSource(path=Path("drawn"), dim=3, entry="word", chunks=chunks)
    with tempfile.TemporaryDirectory() as folder:
        if not expected:
            with pytest.raises(InputError, match="holds no word"):
                write_table(Path(folder), source, limit)
            return
        write_table(Path(folder), source, limit)
        table = open_table(Path(folder))
        assert table is not None
        ours = WordVectors("drawn", "drawn", table)
        assert list(ours.words) == [ours.words[i] for i in range(len(ours))] == list(expected)
        assert ours.words[1:-1] == list(expected)[1:-1]
        assert ours.words[::-2] == list(expected)[::-2]
        np.testing.assert_allclose(ours.vectors, list(expected.values()), atol=1e-6)
        for word in [*words, other, other + "x"]:
            assert (word in ours) == (word in expected)
        assert set(ours.near_spellings(other, n=5)) <= set(expected)
        with pytest.raises(IndexError):
            ours.words[len(ours)]
