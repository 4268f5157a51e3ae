from __future__ import annotations

from pathlib import Path

import pytest
from gensim.models import KeyedVectors
from helpers.word_vectors import WORDS, broken, save, tables

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
