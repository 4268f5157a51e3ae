"""Class names to words and class vectors: rules, aliases, merges and messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.paths import CONF
from helpers.vocabulary import Words, resolved

from devise_exp.core.errors import InputError
from devise_exp.text.labels import (
    RULES,
    Resolution,
    class_vectors,
    count_rules,
    merge_classes,
    resolve,
)

GROUP = CONF / "labels"


def test_an_alias_goes_by_the_same_rules_but_is_not_run_together() -> None:
    vocabulary = Words.of("wildcat", "wild", "cat", "rhinoceros")
    assert resolved("wild_cat", vocabulary) == ("exact", ("wildcat",))
    assert resolved("wild_cat", vocabulary, aliases={"wild_cat": "wild cat"}) == (
        "alias",
        ("wild", "cat"),
    )
    aliases = {"rhino": "zzz, Rhinoceros"}
    assert resolved("rhino", vocabulary, aliases=aliases) == ("alias", ("rhinoceros",))
    assert resolved("rhino", vocabulary, aliases={"rhino": "zzz"}) == ("missing", ())


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


def test_numbers_of_a_config_are_names() -> None:
    """`++labels.merges.cat=5` and `++labels.aliases={42: okapi}` name classes by numbers."""
    classes = ["5", "42", "1.5", "cat"]
    kept, index = merge_classes(classes, {"cat": 5, 1.5: 42})  # type: ignore[dict-item]
    assert (kept, index.tolist()) == (("5", "42"), [0, 1, 1, 0])
    vocabulary = Words.of("okapi", "7")
    resolutions = resolve(kept, vocabulary, {42: "okapi", "5": 7})  # type: ignore[dict-item]
    assert [r.words for r in resolutions] == [("7",), ("okapi",)]
    with pytest.raises(InputError, match=r"merges names '6', none of the 4 classes"):
        merge_classes(classes, {"cat": 6})  # type: ignore[dict-item]


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
