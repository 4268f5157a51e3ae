from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_vectors
from helpers.word_vectors import text, unit

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    load_word_vectors,
    random_word_vectors,
)


def test_unknown_word_names_near_spellings(tmp_path: Path) -> None:
    words = ["the", "phone", "rhinoceros", "rhinos", "seahorse", "cancerous", "hone", "Cat"]
    path = tmp_path / "glove.txt"
    path.write_text(text(words, np.eye(8) + 1))
    ours = load_word_vectors(path)
    assert ours.near_spellings("rhinocerous")[0] == "rhinoceros"
    assert ours.near_spellings("sea horse") == ["seahorse"]
    assert ours.near_spellings("hpone", n=1) == ["phone"]
    assert ours.near_spellings("cat") == ["Cat"]
    assert ours.near_spellings("") == ours.near_spellings("東") == []
    with pytest.raises(
        InputError, match="no vector for 'rhinocerous' in glove; near spellings: rh"
    ):
        ours.vector("rhinocerous")
    with pytest.raises(InputError, match="nothing is spelt like it"):
        ours.vector("xylophone")
    assert 3 not in ours


def test_unknown_words_are_composed_of_subwords(fasttext_file: Path) -> None:
    theirs = load_facebook_vectors(str(fasttext_file))
    for ours in (load_word_vectors(fasttext_file), load_word_vectors(fasttext_file, limit=2)):
        for word in ("okapis", "naïveté", "xyzzy", "東京都"):
            assert word not in ours
            assert ours.has_subword_vector(word)
            np.testing.assert_allclose(ours.vector(word), unit(theirs[word]), atol=1e-5)
        assert isinstance(ours.table.ngrams, np.memmap)
    assert not ours.has_subword_vector("")  # too short for an n-gram
    assert ours.has_subword_vector("lone \ud800 surrogate")
    assert len(ours) == 2


def test_random_vectors_depend_on_seed_and_word_alone() -> None:
    first, again, other = (
        random_word_vectors(dim=50, seed=1),
        random_word_vectors(dim=50, seed=1),
        random_word_vectors(dim=50, seed=2),
    )
    emu, okapi = first.vector("emu"), first.vector("okapi")
    np.testing.assert_array_equal(again.vector("okapi"), okapi)  # in another order
    np.testing.assert_array_equal(again.vector("emu"), emu)
    assert np.linalg.norm(emu) == pytest.approx(1, abs=1e-6)
    assert emu.dtype == np.float32
    assert abs(emu @ okapi) < 0.6
    assert abs(emu @ other.vector("emu")) < 0.6
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert "any word at all" in first
    assert not first.has_subword_vector("emu")
    assert (len(first), list(first.words), first.rank("emu"), first.near_spellings("emu")) == (
        0,
        [],
        None,
        [],
    )
    assert first.vectors.shape == (0, 50)


def test_random_vectors_are_the_same_on_every_machine() -> None:
    """The bits themselves, so a change of the recipe or of a library shows."""
    drawn = random_word_vectors(dim=5, seed=7).vector("okapi")
    expected = slow_random_vector("random-seed7-dim5", "okapi", 5)
    assert drawn.tobytes() == expected.tobytes()
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == "3c1ca1f6698a2230"


def slow_random_vector(fingerprint: str, word: str, dim: int) -> np.ndarray:
    stream = hashlib.shake_256(f"{fingerprint}\0{word}".encode()).digest(24 * dim)
    numbers = struct.unpack(f"<{12 * dim}H", stream)
    sums = [2 * sum(numbers[12 * i : 12 * i + 12]) - 12 * 65535 for i in range(dim)]
    length = sum(s * s for s in sums) ** 0.5
    return np.array([s / length for s in sums], np.float32)


def test_random_vectors_are_spread_evenly() -> None:
    source = random_word_vectors(dim=20, seed=0)
    drawn = np.stack([source.vector(f"w{i}") for i in range(3000)])
    assert abs(drawn.mean(axis=0)).max() < 0.02  # sd of a mean: sqrt(1/20/3000) = 0.004
    np.testing.assert_allclose(drawn.T @ drawn / 3000, np.eye(20) / 20, atol=0.01)


@pytest.mark.parametrize("dim", [0, -3, 2.5])
def test_random_refuses_a_wrong_dimension(dim: float) -> None:
    with pytest.raises(InputError, match=r"word_vectors\.dim"):
        random_word_vectors(dim=dim)  # type: ignore[arg-type]
