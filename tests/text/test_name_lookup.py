"""The words of one name: which spellings are tried, and in which order."""

from __future__ import annotations

import pytest
from helpers.vocabulary import WORD, Words, resolved
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.text.labels import (
    RULES,
    resolve,
)


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("okapi", ["okapi"], "okapi"),
        ("Okapi", ["okapi"], "okapi"),
        ("okapi", ["Okapi"], "Okapi"),
        ("Turkey", ["turkey", "Turkey"], "Turkey"),  # as written before lower case
        ("turkey", ["Turkey", "turkey"], "turkey"),
        ("new york", ["new", "york", "New_York"], "New_York"),
        ("bird of paradise", ["bird", "paradise", "Bird_of_Paradise"], "Bird_of_Paradise"),
        ("grand_piano", ["grand piano", "grand", "piano"], "grand piano"),
        ("light-house", ["light", "house", "lighthouse"], "lighthouse"),
        ("T_Shirt", ["t", "shirt", "t-shirt"], "t-shirt"),
        ("iPod", ["i", "pod", "ipod"], "ipod"),
        ("001.ak-47", ["ak-47", "ak", "47"], "ak-47"),
        ("224.touring-bike-101", ["touring-bike", "101"], "touring-bike"),
        ("F-101", ["f-101", "f"], "f-101"),  # an aircraft, not a mark
        ("binocular", ["binoculars"], "binoculars"),
        ("faces", ["face"], "face"),
        ("puppies", ["puppy"], "puppy"),
        ("wolves", ["wolf"], "wolf"),
        ("knives", ["knife"], "knife"),
        ("dishes", ["dish"], "dish"),
        ("mice", ["mouse"], "mouse"),
        ("goose", ["geese"], "geese"),
        ("Mantis", ["mantises", "manti"], "mantises"),
        ("daisy", ["daisies", "daisys"], "daisies"),
        ("sea_horses", ["seahorse", "sea", "horses"], "seahorse"),
        ("01_llama", ["01", "llama"], "llama"),
        ("1. llama", ["1", "llama"], "llama"),
        ("0001.llama", ["llama"], "llama"),
        ("(3) llama", ["llama", "3"], "llama"),
        ("llama_2", ["llama", "2"], "llama"),
        ("llama (2)", ["llama", "2"], "llama"),
        ("n02437616-llama", ["llama"], "llama"),
        ("llama.n.01", ["llama", "n", "01"], "llama"),
        ("n02099601", ["golden retriever"], "golden retriever"),
        ("llama (zzqx)", ["llama"], "llama"),
        ("dc_10", ["dc-10", "dc"], "dc-10"),  # the number is part of the name
        ("3_wheeler", ["3-wheeler", "wheeler"], "3-wheeler"),
    ],
)
def test_a_whole_name_is_resolved(name: str, words: list[str], expected: str) -> None:
    assert resolved(name, Words.of(*words)) == ("exact", (expected,))


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("soccer_ball", ["soccer", "ball"], ("soccer", "ball")),
        ("GoldenRetriever", ["golden", "retriever"], ("golden", "retriever")),
        ("CDPlayer", ["cd", "player"], ("cd", "player")),
        ("023.hot-air_balloon", ["hot", "air", "balloon"], ("hot", "air", "balloon")),
        ("birds of prey", ["bird", "prey", "of"], ("bird", "prey")),
        (
            "prince of wales' feathers",
            ["Prince", "wales", "feather"],
            ("Prince", "wales", "feather"),
        ),
        ("bird's nest", ["bird", "s", "nest"], ("bird", "nest")),
        ("the of", ["the", "of"], ("the", "of")),  # nothing else remains
        ("red t-shirt", ["red", "t", "shirt", "t-shirt"], ("red", "t-shirt")),
        ("red-t-shirts", ["red", "t", "shirt", "t-shirt"], ("red", "t-shirt")),
        ("U.S. flag", ["u", "s", "flag", "u.s."], ("u.s.", "flag")),
        ("wi-fi_router", ["wi", "fi", "router", "wi-fi"], ("wi-fi", "router")),
        ("x-ray machine", ["x", "ray", "machine", "x-ray"], ("x-ray", "machine")),
        ("old e-mail", ["old", "e", "mail"], ("old", "e", "mail")),  # no such entry
        ("crane (bird)", ["crane", "bird"], ("crane", "bird")),
        ("02.sea_lion", ["02", "sea", "lion"], ("sea", "lion")),
        ("boeing_747", ["boeing", "747"], ("boeing", "747")),
    ],
)
def test_words_are_averaged(name: str, words: list[str], expected: tuple[str, ...]) -> None:
    assert resolved(name, Words.of(*words)) == ("averaged", expected)


def test_a_rare_run_together_spelling_only_helps_where_the_words_are_unknown() -> None:
    assert resolved("ice_cream", Words.of("ice", "cream", rare=("icecream",)))[1] == (
        "ice",
        "cream",
    )
    assert resolved("ice_cream", Words.of("ice", rare=("icecream",)))[1] == ("icecream",)
    assert resolved("ice_cream", Words.of("ice", "cream", "icecream"))[1] == ("icecream",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["shark", "great", "white", "man-eater"], ("exact", ("man-eater",))),
        (["shark", "white", "great"], ("averaged", ("great", "white", "shark"))),
        (["shark", "white"], ("averaged", ("white", "shark"))),
        (["great"], ("missing", ())),
    ],
)
def test_synonyms(words: list[str], expected: tuple[str, tuple[str, ...]]) -> None:
    assert resolved("great white shark, white shark, man-eater", Words.of(*words)) == expected


def test_subwords_come_last() -> None:
    vocabulary = Words.of("okapi", "soccer", "ball", subwords=True)
    assert resolved("okapi", vocabulary) == ("exact", ("okapi",))
    assert resolved("soccer_ball", vocabulary) == ("averaged", ("soccer", "ball"))
    assert resolved("Gerenuk", vocabulary) == ("subword", ("gerenuk",))
    assert resolved("gerenuk ball", vocabulary) == ("subword", ("gerenuk", "ball"))


def spellings(words: list[str]) -> list[str]:
    return [
        "_".join(words),
        "-".join(words),
        " ".join(words).upper(),
        " ".join(word.capitalize() for word in words),
        "".join(word.capitalize() for word in words),
        "007." + "-".join(words),
        "007." + "_".join(words) + "-101",
    ]


@given(st.lists(WORD, min_size=1, max_size=3), st.booleans())
def test_every_spelling_of_a_name_finds_the_same_words(words: list[str], whole: bool) -> None:
    vocabulary = Words.of("_".join(words)) if whole else Words.of(*words)
    expected = ("_".join(words),) if whole else tuple(words)
    assert {resolved(spelling, vocabulary)[1] for spelling in spellings(words)} == {expected}


@given(st.text(max_size=30), st.booleans())
def test_any_text_resolves_or_is_missing(name: str, subwords: bool) -> None:
    vocabulary = Words.of("a", "b", "the", "cat", rare=("dog",), subwords=subwords)
    how, words = resolved(name, vocabulary)
    assert how in RULES
    assert all(word in vocabulary or vocabulary.has_subword_vector(word) for word in words)
    if how == "missing":
        with pytest.raises(InputError, match="1 of 1 classes"):
            resolve([name], vocabulary)
