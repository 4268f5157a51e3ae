from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from gensim.models import FastText
from gensim.models.fasttext import load_facebook_vectors, save_facebook_model
from helpers.word_vectors import agree, broken, unit

from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors import (
    fasttext_format,
    load_word_vectors,
)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_fasttext_model_reads_as_gensim_reads_it(
    ending: str, fasttext_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"tiny.bin{ending}"
    content = fasttext_file.read_bytes()
    path.write_bytes(gzip.compress(content) if ending else content)
    theirs = load_facebook_vectors(str(fasttext_file))
    ours = load_word_vectors(path)
    words = [word for word in theirs.index_to_key if word != "</s>"]
    assert sorted([*words, "</s>"]) == sorted(ours.words)
    for word in words:
        np.testing.assert_allclose(ours.vector(word), unit(theirs[word]), atol=1e-5)
        assert not ours.has_subword_vector(word)
    # fastText itself gives the sentence end no subwords.
    word_row = theirs.vectors_vocab[theirs.key_to_index["</s>"]]
    np.testing.assert_allclose(ours.vector("</s>"), unit(word_row), atol=1e-5)


def test_fasttext_model_without_subwords_composes_nothing(tmp_path: Path) -> None:
    model = FastText([["a", "b"]] * 3, vector_size=4, min_count=1, max_n=0, workers=1)
    save_facebook_model(model, str(tmp_path / "plain.bin"))
    ours = load_word_vectors(tmp_path / "plain.bin")
    agree(ours, load_facebook_vectors(str(tmp_path / "plain.bin")))
    assert not ours.has_subword_vector("bb")
    with pytest.raises(InputError, match="no vector for 'bb'"):
        ours.vector("bb")


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [(4, 99, "version 12"), (68, 3, "a header that makes no sense"), (72, 1, "classifier")],
)
def test_fasttext_models_of_other_kinds_are_named(
    at: int, value: int, message: str, fasttext_file: Path, tmp_path: Path
) -> None:
    content = bytearray(fasttext_file.read_bytes())
    content[at : at + 4] = struct.pack("<i", value)
    (tmp_path / "other.bin").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_word_vectors(tmp_path / "other.bin")


def test_a_lower_cased_fasttext_model_composes_lower_cased_words(tmp_path: Path) -> None:
    sentences = [["the", "Okapi", "eats"], ["The", "okapi", "the", "Okapi"], ["naïve", "EMU"]] * 4
    model = FastText(sentences, vector_size=8, min_count=1, epochs=2, bucket=50, workers=1, seed=1)
    path = tmp_path / "cased.bin"
    save_facebook_model(model, str(path))
    theirs = load_facebook_vectors(str(path))
    ours = load_word_vectors(path, lower=True)
    first = {word.lower(): word for word in reversed(theirs.index_to_key)}
    assert list(ours.words) == list(dict.fromkeys(w.lower() for w in theirs.index_to_key))
    assert {"okapi": "Okapi", "emu": "EMU", "the": "the"}.items() <= first.items()
    for word, spelling in first.items():  # the vector of a word of the file is that of the file
        np.testing.assert_allclose(ours.vector(word), unit(theirs[spelling]), atol=1e-5)
    again = load_word_vectors(path, lower=True)  # how words are cut is read back from the table
    for table in (ours, again):
        for word in ("Okapis", "okapis", "EMUS"):
            assert word not in table
            np.testing.assert_allclose(table.vector(word), unit(theirs[word.lower()]), atol=1e-5)
    assert not np.allclose(ours.vector("EMUS"), load_word_vectors(path).vector("EMUS"), atol=1e-2)


@pytest.mark.parametrize(
    ("share", "entry"),
    [
        (0.005, "word 1: .*in the header"),
        (0.05, r"word \d of 8: .*dictionary"),
        (0.14, r"word \d of 8: .*matrix"),
        (0.6, r"subword \d+ of 50: .*matrix"),
    ],
)
def test_fasttext_model_cut_short(
    share: float, entry: str, fasttext_file: Path, tmp_path: Path, cache: Path
) -> None:
    content = fasttext_file.read_bytes()
    broken(tmp_path, cache, content[: int(len(content) * share)], entry, "cut.bin")


def test_a_header_that_claims_long_ngrams_is_damage(
    fasttext_file: Path, tmp_path: Path, cache: Path
) -> None:
    content = bytearray(fasttext_file.read_bytes())
    content[48:52] = struct.pack("<i", 2_000_000_000)  # maxn
    broken(tmp_path, cache, bytes(content), "a header that makes no sense", "v.bin")


def test_ngrams_are_added_up_in_parts(
    fasttext_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = load_word_vectors(fasttext_file)
    monkeypatch.setattr(fasttext_format, "_MAX_NUMBERS", 8 * 3)  # three rows
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "other"))
    in_parts = load_word_vectors(fasttext_file)
    np.testing.assert_allclose(in_parts.vectors, whole.vectors, atol=1e-6)
