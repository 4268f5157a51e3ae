"""How class names are written."""

from __future__ import annotations

import pytest
from helpers.vocabulary import WORD
from hypothesis import given

from devise_exp.text.name_marks import strip_marks
from devise_exp.text.names import (
    inflections,
    lemma_keys,
    spelling_key,
    spelling_keys,
    split_synonyms,
    split_words,
)


@given(WORD)
def test_the_singular_of_a_plural_is_the_word(word: str) -> None:
    for form in inflections(word):
        assert form != word
        if form.startswith(word):  # a plural
            assert word in inflections(form)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("soccer_ball", "soccer ball"),
        ("001.ak-47", "ak 47"),
        ("224.touring-bike-101", "touring bike"),
        ("F-101", "F 101"),  # an aircraft, not a mark
        ("GoldenRetriever", "Golden Retriever"),
        ("CDPlayer", "CD Player"),
        ("iPod", "iPod"),
        ("bird's nest", "bird nest"),
        ("prince of wales' feathers", "prince of wales feathers"),
        ("???", ""),
    ],
)
def test_a_name_is_split_into_words(name: str, words: str) -> None:
    assert " ".join(split_words(name)) == words


def test_synonyms_stand_between_commas() -> None:
    assert split_synonyms(" pitcher, ewer,, ") == ("pitcher", "ewer")
    assert split_synonyms("") == ()


def test_marks_of_data_sets_are_stripped() -> None:
    assert strip_marks(" 224.touring-bike-101 ") == "touring-bike"
    assert strip_marks("F-101") == "F-101"


def test_a_spelling_key_is_one_for_all_spellings() -> None:
    assert {spelling_key(name) for name in ("sea horse", "Sea_Horse", "SeaHorse")} == {"seahorse"}
    assert {"seahorses", "seahorse", "fox", "foxes"} <= {*spelling_keys(["Sea_Horses, fox"])}


@pytest.mark.parametrize("last", ["", "café's corner", "Löwe’s-zahn"])  # not in ASCII alone
def test_many_names_are_reduced_at_once_as_one_by_one(last: str) -> None:
    names = ["Bird's nest", "boys' club", "glass's", "T-shirt_x", "", "o'clock", "ABC 'S", last]
    keys = lemma_keys("\n".join(names)).split("\n")
    assert keys[:7] == ["birdnest", "boysclub", "glass", "tshirtx", "", "oclock", "abc"]
    assert keys[7] == {"": "", "café's corner": "cafécorner", "Löwe’s-zahn": "löwezahn"}[last]
