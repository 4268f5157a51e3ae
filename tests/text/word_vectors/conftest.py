from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import save_facebook_model
from helpers.word_vectors import WORDS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("DEVISE_CACHE", str(root))
    return root / "word_vectors"


@pytest.fixture
def keyed() -> KeyedVectors:
    """Eight words with vectors of dimension 6, as gensim holds them."""
    table = KeyedVectors(6)
    table.add_vectors(WORDS, np.random.default_rng(3).normal(size=(8, 6)).astype(np.float32))
    return table


@pytest.fixture(scope="module")
def fasttext_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sentences = [
        ["okapi", "eats", "leaves"],
        ["naïve", "emu", "東京", "eats"],
        ["</s>", "a", "emu"],
    ] * 4
    model = FastText(sentences, vector_size=8, min_count=1, epochs=2, bucket=50, workers=1, seed=1)
    path = tmp_path_factory.mktemp("fasttext") / "tiny.bin"
    save_facebook_model(model, str(path))
    return path
