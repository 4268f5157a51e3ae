"""Files of word vectors in every format, and what is expected of their tables."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    WordVectors,
    load_word_vectors,
)

WORDS = ["the", ",", "okapi", "New_York", "naïve", "東京", "rhinoceros", "emu"]


KINDS = ["glove.txt", "glove.txt.gz", "txt", "txt.gz", "vec", "vec.gz", "bin", "bin.gz"]


def tables(cache: Path) -> list[Path]:
    """The folders of finished and unfinished tables in the cache."""
    result = [entry for entry in cache.glob("*") if entry.is_dir() and entry.name != "sources"]
    return sorted(result)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def agree(ours: WordVectors, theirs: KeyedVectors) -> None:
    assert list(ours.words) == list(theirs.index_to_key)
    assert ours.vectors.dtype == np.float32
    np.testing.assert_allclose(ours.vectors, unit(theirs.vectors), atol=1e-6)
    for rank, word in enumerate(theirs.index_to_key):
        assert word in ours
        assert ours.rank(word) == rank
        np.testing.assert_allclose(ours.vector(word), unit(theirs[word]), atol=1e-6)


def text(words: list[str], vectors: np.ndarray, header: bool = False, end: str = "\n") -> str:
    lines = [f"{len(words)} {vectors.shape[1]}"] if header else []
    lines += [
        " ".join([word, *(f"{x:.9g}" for x in row)])
        for word, row in zip(words, vectors, strict=True)
    ]
    return "".join(line + end for line in lines)


def save(keyed: KeyedVectors, kind: str, folder: Path) -> Path:
    """A file of the format called `kind`; a kind in .gz is packed."""
    path = folder / f"vectors.{kind}"
    words = list(keyed.index_to_key)
    if kind.startswith("glove"):
        content = text(words, keyed.vectors).encode()
    elif kind.startswith("vec"):  # fastText ends its lines in a space
        content = text(words, keyed.vectors, header=True, end=" \n").encode()
    else:
        plain = folder / "plain"
        keyed.save_word2vec_format(str(plain), binary=kind.startswith("bin"))
        content = plain.read_bytes()
        plain.unlink()
    path.write_bytes(gzip.compress(content) if kind.endswith(".gz") else content)
    return path


def broken(tmp_path: Path, cache: Path, content: bytes, message: str, name: str = "v.txt") -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_word_vectors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tables(cache) == []
    assert not list(cache.glob(".*"))  # nothing half-written
