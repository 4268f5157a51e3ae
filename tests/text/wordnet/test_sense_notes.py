"""Where classes stand in WordNet, and which of them are doubtful."""

from __future__ import annotations

import pytest

from devise_exp.text.wordnet.hierarchy import place_classes
from devise_exp.text.wordnet.nouns import shipped_nouns
from devise_exp.text.wordnet.sense_notes import SenseNote, sense_notes

SPORTS = ("cricket", "billiards", "canoe", "polo")
PETS = ("dog", "hamster", "mouse", "crane")


def notes_of(names: tuple[str, ...], dataset: str) -> dict[str, SenseNote | None]:
    hierarchy = place_classes(names, [[name] for name in names], dataset)
    return dict(zip(names, sense_notes(names, names, hierarchy, dataset), strict=True))


def test_cricket_among_sports_is_said_to_stand_at_the_insect() -> None:
    notes = notes_of(SPORTS, "sports")
    cricket, billiards, canoe, polo = (notes[name] for name in SPORTS)
    assert polo is not None  # the table does not have it: the only label of its name
    assert polo.text == "polo, a kind of field game (doubtful: 1 of 2 senses)"
    assert cricket is not None
    assert billiards is not None
    assert canoe is not None
    assert cricket.id == "n02229544"
    assert cricket.text == "cricket, a kind of orthopterous insect (doubtful: 1 of 2 senses)"
    assert (billiards.word, billiards.doubtful) == ("pool table", False)
    assert canoe.text == "canoe, a kind of small boat"  # a noun of one sense


@pytest.mark.parametrize(
    ("name", "dataset", "doubtful"),
    [
        ("mouse", "pets", False),  # hamsters are near
        ("crane", "pets", True),  # the machine, and nothing near it
        ("dog", "pets", False),
    ],
)
def test_a_sense_near_another_class_is_not_doubtful(
    name: str, dataset: str, doubtful: bool
) -> None:
    note = notes_of(PETS, dataset)[name]
    assert note is not None
    assert note.n_senses > 1
    assert note.doubtful is doubtful


def test_what_the_images_of_a_data_set_decided_is_not_doubtful() -> None:
    for names, dataset in ((("crab", "lotus"), "caltech101"), (("n02229544-cricket",), "mine")):
        notes = notes_of(names, dataset)
        assert [note is not None and note.doubtful for note in notes.values()] == [False] * len(
            notes
        )
    elsewhere = notes_of(("crab", "lotus"), "mine")["crab"]
    assert elsewhere is not None
    assert elsewhere.doubtful


def test_a_word_is_counted_once_for_each_of_its_senses() -> None:
    ids_of = shipped_nouns().ids
    senses = {key: ids_of[key] for key in ("cricket", "seahorse", "zzyzx") if key in ids_of}
    assert {key: len(ids) for key, ids in senses.items()} == {"cricket": 2, "seahorse": 2}
    words = shipped_nouns().words
    for key, ids in senses.items():
        for id in ids:
            assert key in words[id].replace(" ", "").replace("-", "").lower().split(",")
