"""Which sense of a class name is taken, on a small WordNet folder in WordNet's own format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from devise_exp.glosses import definition, definitions, in_words
from devise_exp.wordnet import Synset, WordNet, find_folder

# Words, the number of the sense that it is a kind of, and the gloss; a word's senses in this order.
SENSES = [
    ("entity", None, "that which exists"),
    ("physical_entity", 0, "an entity that has a body"),
    ("animal beast", 1, "a living being that moves"),
    ("person", 1, "a human being"),
    ("food", 1, "what is eaten"),
    ("artifact", 1, "a thing that was made"),
    ("abstraction", 0, "a general idea"),
    ("lobster", 4, "flesh of a lobster"),
    ("lobster", 2, 'a marine crustacean; "the lobster turned red"'),
    ("bass", 6, "the lowest range in music"),
    ("bass", 2, "a freshwater fish"),
    ("schooner", 5, "a large glass for beer"),
    ("schooner", 5, "a sailing ship; used in former times"),
    ("cup", 5, "a small bowl for drinking"),
    ("cup", 5, "a metal vessel for a winner"),
    ("pitcher", 3, "the player who throws"),
    ("pitcher ewer", 5, "a vessel with a handle and a spout"),
    ("garfield", 3, "20th president"),
    ("fireman fire-eater", 3, "a person who fights fires"),
    ("water_lily", 1, "an aquatic plant"),
    ("wildcat", 2, "a small cat that lives in the wild"),
    ("okapi", 2, "similar to the giraffe but smaller"),
]


def write_wordnet(folder: Path) -> Path:
    """index.noun and data.noun (wndb(5WN)) of SENSES."""
    lines = []
    for words, above, gloss in SENSES:
        lemmas = words.split()
        pointers = "000" if above is None else f"001 @ {{{above}}} n 0000"
        named = " ".join(f"{lemma} 0" for lemma in lemmas)
        lines.append(f"{{own}} 03 n {len(lemmas):02x} {named} {pointers} | {gloss}  \n")
    licence = "  1 A tiny WordNet for tests.  \n"
    marked = [re.sub(r"\{\w+\}", "0" * 8, line) for line in lines]  # as long as they will be
    starts = np.cumsum([len(licence), *map(len, marked)])[:-1].tolist()
    offsets = [f"{start:08d}" for start in starts]
    data = [line.format(*offsets, own=own) for line, own in zip(lines, offsets, strict=True)]
    (folder / "data.noun").write_text(licence + "".join(data), encoding="utf-8")
    senses: dict[str, list[str]] = {}
    for (words, _, _), offset in zip(SENSES, offsets, strict=True):
        for lemma in words.split():
            senses.setdefault(lemma, []).append(offset)
    index = [
        f"{lemma} n {len(found)} 1 @ {len(found)} 0 {' '.join(found)}  \n"
        for lemma, found in sorted(senses.items())
    ]
    (folder / "index.noun").write_text(licence + "".join(index), encoding="utf-8")
    return folder


def encode(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors of which words a text has: texts are near that share words."""
    words = [set(re.findall(r"\w+", text.lower())) for text in texts]
    known = sorted(set().union(*words))
    rows = np.array([[float(word in own) for word in known] for own in words])
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
def test_the_sense_that_a_picture_would_show(
    wordnet: WordNet, name: str, alias: str, meant: str
) -> None:
    assert definitions([name], [alias], wordnet, encode) == (meant,)


def test_classes_are_described_together_as_alone(wordnet: WordNet) -> None:
    names = ["schooner", "nothing like it", "bass", "cup", "okapi", "lobster"]
    aliases = ["sailing schooner", "", "", "", "", ""]
    calls: list[int] = []

    def counted(texts: Sequence[str]) -> np.ndarray:
        calls.append(len(texts))
        return encode(texts)

    alone = [definitions([n], [a], wordnet, encode)[0] for n, a in zip(names, aliases, strict=True)]
    assert definitions(names, aliases, wordnet, counted) == tuple(alone)
    assert calls == [4 * 3]  # at once, of four names with two senses each: they and a question
    assert definitions([], [], wordnet, encode) == ()


def test_a_definition_has_no_examples() -> None:
    gloss = 'a bird (of prey); keeps to itself: rare; "the bird flew", "it flies"'
    assert definition(Synset("n1", ("bird",), (), gloss)) == (
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
    assert in_words(name) == words


@pytest.mark.skipif(
    (folder := find_folder()) is None or WordNet(folder).version != "3.0", reason="no WordNet 3.0"
)
def test_the_shipped_table_goes_first() -> None:
    assert folder is not None
    names = ["hedgehog", "barrel", "panda", "inline_skate"]
    found = definitions(names, [""] * 4, WordNet(folder), encode)
    assert [text[:30] for text in found] == [
        "small nocturnal Old World mamm",  # not porcupines, WordNet's first sense
        "a cylindrical container that h",  # not of a gun
        "large black-and-white herbivor",
        "a shoe with a line of rollers ",  # which WordNet spells in-line skate
    ]
