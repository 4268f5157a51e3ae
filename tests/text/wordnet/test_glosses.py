"""Which sense of a class name is taken, on a small WordNet folder in WordNet's own format."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from helpers.gloss_wordnet import write_wordnet

from devise_exp.text.wordnet.database import Synset, WordNet, find_wordnet
from devise_exp.text.wordnet.glosses import class_definitions, readable_name, strip_examples


def encode(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors of which words a text has: texts are near that share words."""
    words = [set(re.findall(r"\w+", text.lower())) for text in texts]
    known = sorted(set().union(*words))
    rows = np.array([[float(word in text_words) for word in known] for text_words in words])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory: pytest.TempPathFactory) -> WordNet:
    return WordNet(write_wordnet(tmp_path_factory.mktemp("wordnet")))


@pytest.mark.parametrize(
    ("name", "alias", "meant"),
    [
        ("okapi", "okapi giraffe", "similar to the giraffe but smaller"),
        ("lobster", "", "a marine crustacean"),  # the animal, not its flesh; without the example
        ("bass", "", "a freshwater fish"),  # a thing
        ("schooner", "sailing schooner", "a sailing ship; used in former times"),  # the nearer
        ("cup", "", "a small bowl for drinking"),  # as near: the more usual
        ("cup", "winner's metal cup", "a metal vessel for a winner"),
        ("pitcher", "", "a vessel with a handle and a spout"),  # no person
        ("pitcher, ewer", "", "a vessel with a handle and a spout"),  # what both words mean
        ("fireman", "", "a person who fights fires"),  # a person where there is nothing else
        ("firemen", "fireman", "a person who fights fires"),
        ("garfield", "garfield cat", ""),  # the alias says that it is no person
        ("water_lilly", "water lily flower", "an aquatic plant"),
        ("wild_cat", "wild cat", "a small cat that lives in the wild"),
        ("001.wild-cats", "", "a small cat that lives in the wild"),
        ("food processor", "", ""),  # a lone word of a name is not looked up
        ("a wild cat", "", ""),  # a sentence
        ("...", "", ""),
    ],
)
def test_the_sense_that_an_image_would_show(
    wordnet: WordNet, name: str, alias: str, meant: str
) -> None:
    assert class_definitions([name], [alias], wordnet, encode) == (meant,)


def test_classes_are_described_together_as_alone(wordnet: WordNet) -> None:
    names = ["schooner", "nothing like it", "bass", "cup", "okapi", "lobster"]
    aliases = ["sailing schooner", "", "", "", "", ""]
    calls: list[int] = []

    def counted(texts: Sequence[str]) -> np.ndarray:
        calls.append(len(texts))
        return encode(texts)

    alone = [
        class_definitions([n], [a], wordnet, encode)[0] for n, a in zip(names, aliases, strict=True)
    ]
    assert class_definitions(names, aliases, wordnet, counted) == tuple(alone)
    assert calls == [4 * 3]  # at once, of four names with two senses each: they and a question
    assert class_definitions([], [], wordnet, encode) == ()


def test_a_definition_has_no_examples() -> None:
    gloss = 'a bird (of prey); keeps to itself: rare; "the bird flew", "it flies"'
    assert strip_examples(Synset("n1", ("bird",), (), gloss)) == (
        "a bird (of prey); keeps to itself: rare"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sea_horse", "sea horse"),
        ("001.ak47", "ak47"),
        ("grand-piano-101", "grand piano"),
        ("pitcher,ewer", "pitcher, ewer"),
        ("a man's hat, on  a sofa.", "a man's hat, on a sofa."),
        ("great white_shark", "great white shark"),
        ("???", "???"),
    ],
)
def test_a_name_in_words(name: str, words: str) -> None:
    assert readable_name(name) == words


@pytest.mark.skipif(
    (folder := find_wordnet()) is None or WordNet(folder).version != "3.0", reason="no WordNet 3.0"
)
def test_the_shipped_table_goes_first() -> None:
    assert folder is not None
    names = ["hedgehog", "barrel", "panda", "inline_skate"]
    meanings = class_definitions(names, [""] * 4, WordNet(folder), encode)
    assert [text[:30] for text in meanings] == [
        "small nocturnal Old World mamm",  # not porcupines, WordNet's first sense
        "a cylindrical container that h",  # not of a gun
        "large black-and-white herbivor",
        "a shoe with a line of rollers ",  # which WordNet spells in-line skate
    ]
