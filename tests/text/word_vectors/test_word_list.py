"""Near spellings in a list of words: of real slips, in bounded time and memory."""

from __future__ import annotations

import numpy as np
import pytest

from devise_exp.text.word_vectors import glove_6b_50d
from devise_exp.text.word_vectors.word_list import WordList


def word_list(words: list[str]) -> WordList:
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.uint64)
    return WordList(np.frombuffer(b"".join(encoded), np.uint8), offsets)


@pytest.fixture(scope="module")
def glove_words(tmp_path_factory: pytest.TempPathFactory) -> WordList:
    """400,000 words, from one table for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEVISE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return glove_6b_50d().table.words


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("rhinocerous", "rhinoceros"),
        ("girafe", "giraffe"),
        ("acordion", "accordion"),
        ("kangeroo", "kangaroo"),
        ("umbrela", "umbrella"),
        ("hipopotamus", "hippopotamus"),
        ("binocullar", "binocular"),
        ("euphoneum", "euphonium"),
        ("hpone", "phone"),
        ("Sea horse", "seahorse"),
    ],
)
def test_the_word_meant_comes_first(slip: str, meant: str, glove_words: WordList) -> None:
    assert glove_words.near_spellings(slip)[0] == meant


def test_nothing_is_near_a_word_that_is_no_slip(glove_words: WordList) -> None:
    assert [glove_words.near_spellings(text) for text in ("", "東", "zzqxqz")] == [[], [], []]


def test_equally_near_words_come_by_frequency_and_in_one_case() -> None:
    words = word_list(["hone", "Phone", "phone", "PHONE", "naïve", "pone", "stone"])
    assert words.near_spellings("hpone") == ["hone", "Phone", "pone"]
    assert words.near_spellings("phone", n=1) == ["Phone"]
    assert words.near_spellings("naive") == ["naïve"]
    assert word_list([]).near_spellings("phone") == []


def test_a_list_is_a_sequence() -> None:
    words = word_list(["emu", "naïve", "東京", "okapi"])
    assert list(words) == ["emu", "naïve", "東京", "okapi"]
    assert (words[-1], words[1:3], words[::-2]) == ("okapi", ["naïve", "東京"], ["okapi", "naïve"])
    assert words.encoded(2) == "東京".encode()
    with pytest.raises(IndexError):
        words[4]
