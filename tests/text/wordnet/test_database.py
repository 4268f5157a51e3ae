from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers import tiny_wordnet

from devise_exp.core.errors import InputError
from devise_exp.text.wordnet.database import Synset, WordNet, find_wordnet

SENSES = {
    "entity": ("", "what is"),
    "crane lifting_tackle": ("entity", "a machine | with a bar"),
    "Crane Stephen_Crane": ("entity", "a writer"),
    "animal beast": ("entity", "a living thing"),
    "pet": ("animal beast", "kept for company"),
    "sea_horse seahorse": ("animal beast | pet", "a fish"),
    "crane": ("animal beast", "a bird"),
}


@pytest.fixture
def ids(tmp_path: Path) -> dict[str, str]:
    return tiny_wordnet.write(tmp_path, SENSES, instances=("Crane Stephen_Crane",))


def test_the_senses_of_a_word_in_their_order(tmp_path: Path, ids: dict[str, str]) -> None:
    wordnet = WordNet(tmp_path)
    assert [sense.gloss for sense in wordnet.senses("crane")] == [
        "a machine | with a bar",
        "a writer",
        "a bird",
    ]
    assert wordnet.senses("Crane") == wordnet.senses("crane")
    (sea_horse,) = wordnet.senses("sea horse")
    above = (ids["animal beast"], ids["pet"])
    assert sea_horse == Synset(
        ids["sea_horse seahorse"], ("sea_horse", "seahorse"), above, "a fish"
    )
    assert wordnet.senses("SEAHORSE") == (sea_horse,) == (wordnet.synset(sea_horse.id),)
    assert [wordnet.senses(word) for word in ("horse", "", "n", "crane n", "  1 This")] == [()] * 5


def test_an_instance_is_below_what_it_is_an_instance_of(
    tmp_path: Path, ids: dict[str, str]
) -> None:
    assert WordNet(tmp_path).senses("stephen_crane")[0].hypernyms == (ids["entity"],)
    assert WordNet(tmp_path).senses("entity")[0].hypernyms == ()


def test_the_version_is_that_of_the_licence(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path, SENSES, version="3.1")
    assert WordNet(tmp_path).version == "3.1"
    data = tmp_path / "data.noun"
    data.write_text(data.read_text().replace("WordNet 3.1 Copyright", "WordNet"))
    assert WordNet(tmp_path).version == ""


def test_no_folder_of_wordnet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a WordNet folder: .*index.noun and data.noun"):
        WordNet(tmp_path)


def test_files_that_do_not_fit_together(tmp_path: Path, ids: dict[str, str]) -> None:
    data, index = tmp_path / "data.noun", tmp_path / "index.noun"
    for id in ("n00000001", "n99999999", "00000000", "n1", ids["crane"][1:]):
        with pytest.raises(InputError, match=f"has no sense {id}"):
            WordNet(tmp_path).synset(id)
    data.write_text(data.read_text().replace("Copyright", "Copyright (c)"))  # moves every line
    with pytest.raises(InputError, match=r"data.noun has no sense n\d{8}: take both files"):
        WordNet(tmp_path).senses("crane")
    index.write_text(index.read_text().replace("crane n 3", "crane n 4"))
    with pytest.raises(InputError, match=r"index.noun: the line of 'crane' is damaged"):
        WordNet(tmp_path).senses("crane")


def test_where_wordnet_is_looked_for(tmp_path: Path) -> None:
    environment = {
        "HOME": str(tmp_path),
        "NLTK_DATA": os.pathsep.join(["none", str(tmp_path / "n")]),
    }
    environment |= {"WNHOME": str(tmp_path / "w"), "WNSEARCHDIR": str(tmp_path / "s")}
    names = ("nltk_data/corpora/wordnet", "n/corpora/wordnet", "w/dict", "s")
    for folder in (tmp_path / name for name in names):  # each goes before those before it
        assert find_wordnet(environment) != folder
        tiny_wordnet.write(folder, SENSES)
        assert find_wordnet(environment) == folder
    (folder / "index.noun").unlink()
    assert find_wordnet(environment) == tmp_path / "w/dict"
