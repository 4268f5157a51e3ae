from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.paths import CONF
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.text.labels import (
    RULES,
    Resolution,
    class_vectors,
    count_rules,
    merge_classes,
    resolve,
)
from devise_exp.text.name_lookup import FREQUENT_RANK
from devise_exp.text.names import inflections

GROUP = CONF / "labels"


class Words(dict[str, int]):
    """A vocabulary of words and their frequency ranks; `subwords` has it compose any ASCII word."""

    subwords = False

    @classmethod
    def of(cls, *words: str, rare: tuple[str, ...] = (), subwords: bool = False) -> Words:
        ranks = {word: i for i, word in enumerate(words)}
        made = cls(ranks | {word: FREQUENT_RANK + i for i, word in enumerate(rare)})
        made.subwords = subwords
        return made

    def rank(self, word: str) -> int | None:
        return self.get(word)

    def has_subword_vector(self, word: str) -> bool:
        return self.subwords and word.isascii()

    def near_spellings(self, word: str, n: int = 3) -> list[str]:
        return get_close_matches(word, self, n)


def found(name: str, vocabulary: Words, **options: object) -> tuple[str, tuple[str, ...]]:
    (resolution,) = resolve([name], vocabulary, on_missing="drop", **options)
    return resolution.rule, resolution.words


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
    ],
)
def test_a_whole_name_is_found(name: str, words: list[str], expected: str) -> None:
    assert found(name, Words.of(*words)) == ("exact", (expected,))


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
    ],
)
def test_words_are_averaged(name: str, words: list[str], expected: tuple[str, ...]) -> None:
    assert found(name, Words.of(*words)) == ("averaged", expected)


def test_a_rare_run_together_spelling_only_helps_where_the_words_are_unknown() -> None:
    assert found("ice_cream", Words.of("ice", "cream", rare=("icecream",)))[1] == ("ice", "cream")
    assert found("ice_cream", Words.of("ice", rare=("icecream",)))[1] == ("icecream",)
    assert found("ice_cream", Words.of("ice", "cream", "icecream"))[1] == ("icecream",)


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
    assert found("great white shark, white shark, man-eater", Words.of(*words)) == expected


def test_subwords_come_last() -> None:
    vocabulary = Words.of("okapi", "soccer", "ball", subwords=True)
    assert found("okapi", vocabulary) == ("exact", ("okapi",))
    assert found("soccer_ball", vocabulary) == ("averaged", ("soccer", "ball"))
    assert found("Gerenuk", vocabulary) == ("subword", ("gerenuk",))
    assert found("gerenuk ball", vocabulary) == ("subword", ("gerenuk", "ball"))


def test_an_alias_goes_by_the_same_rules_but_is_not_run_together() -> None:
    vocabulary = Words.of("wildcat", "wild", "cat", "rhinoceros")
    assert found("wild_cat", vocabulary) == ("exact", ("wildcat",))
    assert found("wild_cat", vocabulary, aliases={"wild_cat": "wild cat"}) == (
        "alias",
        ("wild", "cat"),
    )
    aliases = {"rhino": "zzz, Rhinoceros"}
    assert found("rhino", vocabulary, aliases=aliases) == ("alias", ("rhinoceros",))
    assert found("rhino", vocabulary, aliases={"rhino": "zzz"}) == ("missing", ())


def test_all_missing_classes_are_in_one_error() -> None:
    vocabulary = Words.of("okapi", "tree", "joshua")
    with pytest.raises(InputError) as caught:
        resolve(["okapi", "okapy", "joshua_treee", "???"], vocabulary, {"???": "okap"})
    message = str(caught.value)
    assert message.startswith("3 of 4 classes")
    assert "'okapy' (near: okapi)" in message
    assert "'joshua_treee' (near: tree)" in message
    assert "'???' (alias 'okap'; near: okapi)" in message
    assert "++labels.aliases.NAME=WORD" in message
    assert "labels.on_missing=drop" in message
    assert "\n" not in message


def test_dropped_classes_stay_in_place_and_are_counted() -> None:
    resolutions = resolve(["okapi", "zzz", "yyy"], Words.of("okapi"), on_missing="drop")
    assert [r.rule for r in resolutions] == ["exact", "missing", "missing"]
    assert count_rules(resolutions) == dict(zip(RULES, (1, 0, 0, 0, 2), strict=True))


def test_classes_with_the_same_words_are_an_error() -> None:
    vocabulary = Words.of("face", "ball", "soccer")
    with pytest.raises(InputError, match=r"'Face' and 'faces' .*merges.*aliases"):
        resolve(["Face", "faces"], vocabulary)
    with pytest.raises(InputError, match="same words"):
        resolve(["soccer ball", "ball of soccer"], vocabulary)
    with pytest.raises(InputError, match="same words"):
        resolve(["face", "face"], vocabulary)


def test_wrong_settings_are_named() -> None:
    vocabulary = Words.of("okapi")
    with pytest.raises(InputError, match=r"on_missing is 'ignore'.*error or drop"):
        resolve(["okapi"], vocabulary, on_missing="ignore")
    with pytest.raises(InputError, match=r"aliases names 'okapy'.*okapi"):
        resolve(["okapi"], vocabulary, {"okapy": "okapi"})
    with pytest.raises(InputError, match=r"aliases.okapi is None"):
        resolve(["okapi"], vocabulary, {"okapi": None})  # type: ignore[dict-item]


def test_merge_keeps_the_order_and_maps_every_class() -> None:
    classes = ["Faces", "Faces_easy", "ant", "cougar_body", "cougar_face"]
    kept, index = merge_classes(classes, {"Faces_easy": "Faces", "cougar_body": "cougar_face"})
    assert kept == ("Faces", "ant", "cougar_face")
    assert index.dtype == np.int64
    assert index.tolist() == [0, 0, 1, 2, 2]
    kept, index = merge_classes(classes, {})
    assert kept == tuple(classes)
    assert index.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("merges", "message"),
    [
        ({"Face": "ant"}, r"'Face'.*Faces"),
        ({"ant": "aunt"}, r"'aunt'.*ant"),
        ({"Faces": "ant", "ant": "bee"}, r"'Faces' to 'ant', which is itself joined to 'bee'"),
        ({"ant": "ant"}, "itself"),
    ],
)
def test_wrong_merges_are_named(merges: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        merge_classes(["Faces", "ant", "bee"], merges)


class Table(dict[str, list[float]]):
    def vector(self, word: str) -> np.ndarray:
        return np.array(self[word], dtype=np.float32)


def test_class_vectors_are_renormalised_means() -> None:
    table = Table(north=[0, 1], east=[1, 0], south=[0, -1])
    vectors = class_vectors(
        [Resolution("n", ("north",), "exact"), Resolution("ne", ("north", "east"), "averaged")],
        table,
    )
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0, 1], [0.5**0.5, 0.5**0.5]], atol=1e-6)


@pytest.mark.parametrize("words", [("north", "south"), ("nothing",)])
def test_vectors_that_leave_nothing_are_an_error(words: tuple[str, ...]) -> None:
    table = Table(north=[0, 1], south=[0, -1], nothing=[np.nan, 1])
    with pytest.raises(InputError, match=r"'x'.*aliases"):
        class_vectors([Resolution("x", words, "averaged")], table)


def test_missing_classes_have_no_vector() -> None:
    with pytest.raises(InputError, match="'x' has no word"):
        class_vectors([Resolution("x", (), "missing")], Table())
    with pytest.raises(InputError, match="no class"):
        class_vectors([], Table())


def test_a_resolution_is_validated() -> None:
    with pytest.raises(ValueError, match="missing"):
        Resolution("x", ("word",), "missing")
    with pytest.raises(ValueError, match="guessed"):
        Resolution("x", ("word",), "guessed")


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


WORD = st.text("bcdfghklmnprtvwxz", min_size=3, max_size=8)


@given(st.lists(WORD, min_size=1, max_size=3), st.booleans())
def test_every_spelling_of_a_name_finds_the_same_words(words: list[str], whole: bool) -> None:
    vocabulary = Words.of("_".join(words)) if whole else Words.of(*words)
    expected = ("_".join(words),) if whole else tuple(words)
    assert {found(spelling, vocabulary)[1] for spelling in spellings(words)} == {expected}


@given(st.text(max_size=30), st.booleans())
def test_any_text_resolves_or_is_missing(name: str, subwords: bool) -> None:
    vocabulary = Words.of("a", "b", "the", "cat", rare=("dog",), subwords=subwords)
    how, words = found(name, vocabulary)
    assert how in RULES
    assert all(word in vocabulary or vocabulary.has_subword_vector(word) for word in words)
    if how == "missing":
        with pytest.raises(InputError, match="1 of 1 classes"):
            resolve([name], vocabulary)


@given(WORD)
def test_the_singular_of_a_plural_is_the_word(word: str) -> None:
    for form in inflections(word):
        assert form != word
        if form.startswith(word):  # a plural
            assert word in inflections(form)


@pytest.mark.parametrize("option", sorted(GROUP.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_options_are_the_arguments(option: Path) -> None:
    settings = yaml.safe_load(option.read_text())
    assert set(settings) == {"aliases", "merges", "on_missing"}
    # Every alias is of a class that remains.
    assert not set(settings["aliases"]) & set(settings["merges"])
    classes = sorted({*settings["aliases"], *settings["merges"], *settings["merges"].values()})
    kept, _ = merge_classes(classes, settings["merges"])
    words = {word for alias in settings["aliases"].values() for word in alias.split()}
    extra = {name: name.lower() for name in kept}
    vocabulary = Words.of(*sorted(words | set(extra.values())))
    resolutions = resolve(kept, vocabulary, settings["aliases"], settings["on_missing"])
    assert count_rules(resolutions)["alias"] == len(settings["aliases"])
