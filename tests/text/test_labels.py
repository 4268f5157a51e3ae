"""Class names to words and class vectors: rules, aliases, merges and messages."""

from __future__ import annotations

import re
import shlex
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.counting import CountingName, counting_names
from helpers.paths import CONF
from helpers.vocabulary import Words, resolved
from omegaconf import OmegaConf

from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.text.label_options import alias_override, merge_override
from devise_exp.text.labels import (
    RULES,
    Resolution,
    class_vectors,
    count_rules,
    merge_classes,
    resolve,
)
from devise_exp.text.missing_words import MissingWordsError

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
    assert "++labels.aliases.okapy=WORD" in message
    assert "labels.aliases_file" in message
    assert "labels.on_missing=nearest" in message
    assert "labels.on_missing=drop" in message
    assert "\n" not in message


def test_the_line_about_21_841_missing_classes_is_bounded_and_the_error_has_them_all() -> None:
    names = [f"zzqx{i}" for i in range(21_841)]
    with pytest.raises(MissingWordsError) as caught:
        resolve(names, Words.of("okapi"))
    assert len(str(caught.value)) < 1000
    assert "'zzqx9'; and 21,831 more" in str(caught.value)
    assert caught.value.names == tuple(names)


def test_the_nearest_spelling_is_taken_on_request_and_marked() -> None:
    vocabulary = Words.of("amputee", "football", "barrel", "racing")
    names = ["ampute football", "barell racing", "racing"]
    resolutions = resolve(names, vocabulary, on_missing="nearest")
    assert [(r.rule, r.words) for r in resolutions] == [
        ("nearest", ("amputee", "football")),
        ("nearest", ("barrel", "racing")),
        ("exact", ("racing",)),
    ]
    (alias,) = resolve(["x"], vocabulary, {"x": "barell"}, on_missing="nearest")
    assert alias.words == ("barrel",)


def test_nearest_that_finds_no_spelling_is_not_advised_again() -> None:
    vocabulary = Words.of("barrel", "racing")
    with pytest.raises(InputError) as caught:
        resolve(["barell", "barell 日本"], vocabulary, on_missing="nearest")
    line = str(caught.value)
    assert line.startswith("1 of 2 classes have no word vector: 'barell 日本' (")
    assert "near: barrel; no spelling is near '日本'). Give each a known word (" in line
    assert "on_missing=nearest" not in line
    assert "labels.on_missing=drop" in line
    with pytest.raises(InputError, match="alias 'qqqq'; no spelling is near 'qqqq'"):
        resolve(["cat"], vocabulary, {"cat": "qqqq"}, on_missing="nearest")


NAMES = ["001.ak-47", "crane (bird)", "7 wonders", "a.b", "a,b", "[red]", "1e5", "null", "x=y",
         "a b", "007", "true", "C++", "50%", "tab\tx", "{x}", "a\\b", "a:b", "-x"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_remedy_for_a_name_can_be_typed_as_it_stands(name: str) -> None:
    """What the line offers, read by a shell and by Hydra, gives this class the word."""
    with pytest.raises(InputError) as caught:
        resolve([name], Words.of("okapi"))
    typed = re.search(r"for the first (.+?); or labels.aliases_file", str(caught.value))
    assert typed is not None
    (argument,) = shlex.split(typed[1].replace("WORD", "okapi"))
    aliases = OmegaConf.to_container(compose_config(["labels=plain", argument]).labels.aliases)
    assert isinstance(aliases, dict)
    assert [r.words for r in resolve([name], Words.of("okapi"), aliases)] == [("okapi",)]


@pytest.mark.parametrize("name", ["it's", "大熊猫", "café", "R&D", "#1", 'quo"te', "x;y"])
def test_a_name_that_no_argument_can_hold_gets_a_file(name: str) -> None:
    assert alias_override(name) == "labels.aliases_file=FILE.csv with lines NAME,WORD"
    assert merge_override(name, "x") == "labels.merges_file=FILE.csv with lines NAME,OTHER"
    with pytest.raises(InputError, match=r"a known word \(labels.aliases_file=FILE.csv with lines"):
        resolve([name], Words.of("okapi"))


def test_a_class_called_null_is_aliased_and_merged() -> None:
    classes = ["1e5", "null", "true"]
    aliases = {None: "okapi", True: "emu", 1e5: "ibis"}
    vocabulary = Words.of("okapi", "emu", "ibis")
    words = [r.words[0] for r in resolve(classes, vocabulary, aliases)]  # type: ignore[arg-type]
    assert words == ["ibis", "okapi", "emu"]
    kept, _ = merge_classes(classes, {"1e5": None})  # type: ignore[dict-item]
    assert kept == ("null", "true")


def test_nfc_and_nfd_are_one_class() -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert resolve([apart], Words.of(composed))[0].words == (composed,)
    assert resolve([composed], Words.of(apart))[0].words == (apart,)
    assert resolve([apart], Words.of("bar"), {composed: "bar"})[0].words == ("bar",)


def test_dropped_classes_stay_in_place_and_are_counted() -> None:
    resolutions = resolve(["okapi", "zzz", "yyy"], Words.of("okapi"), on_missing="drop")
    assert [r.rule for r in resolutions] == ["exact", "missing", "missing"]
    assert count_rules(resolutions) == dict(zip(RULES, (1, 0, 0, 0, 0, 2), strict=True))


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
    with pytest.raises(InputError, match=r"on_missing is 'ignore'.*error or drop.*nearest"):
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
    assert set(settings) - {"on_unknown", "aliases_by"} == {"aliases", "merges", "on_missing"}
    assert bool(settings.get("aliases_by")) == bool(settings["aliases"])  # who chose them is said
    # Every alias is of a class that remains.
    assert not set(settings["aliases"]) & set(settings["merges"])
    classes = sorted({*settings["aliases"], *settings["merges"], *settings["merges"].values()})
    kept, _ = merge_classes(classes, settings["merges"])
    words = {word for alias in settings["aliases"].values() for word in alias.split()}
    extra = {name: name.lower() for name in kept}
    vocabulary = Words.of(*sorted(words | set(extra.values())))
    resolutions = resolve(kept, vocabulary, settings["aliases"], settings["on_missing"])
    assert count_rules(resolutions)["alias"] == len(settings["aliases"])


def test_of_many_missing_classes_ten_are_listed() -> None:
    with pytest.raises(InputError) as caught:
        resolve([f"zz{i} qq" for i in range(21_841)], Words.of("okapi"))
    message = str(caught.value)
    assert message.startswith("21841 of 21841 classes have no word vector: 'zz0 qq'")
    assert "'zz9 qq'; and 21,831 more. Give each" in message
    assert len(message) < 1000


def test_names_of_merges_and_aliases_are_looked_up_and_not_searched() -> None:
    classes = counting_names(2_000)
    kept, _ = merge_classes(classes, dict.fromkeys(classes[:-1], classes[-1]))
    assert len(kept) == 1
    vocabulary = Words.of(*(f"word{i}" for i in range(2_000)))
    aliases = {name: f"word{i}" for i, name in enumerate(classes)}
    assert len(resolve(classes, vocabulary, aliases)) == 2_000
    assert CountingName.comparisons < 20 * len(classes)
