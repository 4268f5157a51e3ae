from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from helpers.word_vectors import WORDS, agree, broken, save, tables

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    load_word_vectors,
)


@pytest.mark.parametrize("end", [-1, -10, -30])
def test_word2vec_binary_cut_short(
    end: int, keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    content = save(keyed, "bin", tmp_path).read_bytes()
    content = content.rstrip(b"\n")
    message = r"word 8 of 8: it is cut short" if end > -30 else r"word [78] of 8: it is cut short"
    broken(tmp_path, cache, content[:end], message, "cut.bin")
    assert list(load_word_vectors(tmp_path / "cut.bin", limit=6).words) == WORDS[:6]


def test_gensim_pickle_cut_short(keyed: KeyedVectors, tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "cut.kv"
    keyed.save(str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"cut\.kv, word 1: gensim cannot load it"):
        load_word_vectors(path, trust_pickle=True)
    assert tables(cache) == []


@pytest.mark.parametrize("promised", [7, 9, 3_000_000])
def test_a_binary_header_that_miscounts_is_a_warning(
    promised: int, keyed: KeyedVectors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(keyed, "bin", tmp_path)
    path.write_bytes(path.read_bytes().replace(b"8 6\n", b"%d 6\n" % promised))
    assert list(load_word_vectors(path).words) == WORDS[:promised]
    assert f"first line promises {promised:,}" in capsys.readouterr().err.replace(
        "more follows than the", "first line promises"
    )


def test_each_word_may_end_in_a_line_end(keyed: KeyedVectors, tmp_path: Path) -> None:
    """As word2vec itself writes them."""
    words = [
        word.encode() + b" " + row.tobytes() + b"\n"
        for word, row in zip(WORDS, keyed.vectors, strict=True)
    ]
    (tmp_path / "v.bin").write_bytes(b"8 6\n" + b"".join(words))
    agree(load_word_vectors(tmp_path / "v.bin"), keyed)


@pytest.mark.parametrize("header", [b"8 1000000000\n", b"8 65537\n"])
def test_no_memory_is_taken_for_what_a_header_claims(
    header: bytes, tmp_path: Path, cache: Path
) -> None:
    broken(tmp_path, cache, header + b"the " + bytes(100), "numbers a word are more than", "v.bin")


def test_a_word_without_an_end_is_damage(tmp_path: Path, cache: Path) -> None:
    content = b"2 2\n" + b"x" * 100_000 + b" " + bytes(16)
    broken(tmp_path, cache, content, "word 1 of 2: .*a word of more than 65,536 bytes", "v.bin")


def test_arrays_that_gensim_saved_apart_are_named(
    keyed: KeyedVectors, tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "model.kv"
    keyed.save(str(path), sep_limit=1)
    part = tmp_path / "model.kv.vectors.npy"
    part.rename(tmp_path / "elsewhere.npy")
    with pytest.raises(
        InputError, match=r"model\.kv\.vectors\.npy is missing: put it beside model"
    ):
        load_word_vectors(path, trust_pickle=True)
    np.save(part, np.zeros(3, np.float32))
    with pytest.raises(InputError, match="its vectors are no table of numbers"):
        load_word_vectors(path, trust_pickle=True)
    assert tables(cache) == []
