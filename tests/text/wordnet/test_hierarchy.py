from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import tiny_wordnet
from helpers.tiny_hierarchy import (
    DISTANCES,
    HIERARCHY,
    TREE,
)

from devise_exp.data.caltech import caltech101
from devise_exp.text.wordnet.hierarchy import (
    UNPLACED,
    Hierarchy,
    hierarchy_from_dict,
    place_classes,
)


def test_hops_in_a_small_tree() -> None:
    assert DISTANCES.tolist() == [
        [0, 2, 1, 3, 5, 6, -1],
        [2, 0, 1, 3, 5, 6, -1],
        [1, 1, 0, 2, 4, 5, -1],
        [3, 3, 2, 0, 4, 5, -1],
        [5, 5, 4, 4, 0, 1, -1],
        [6, 6, 5, 5, 1, 0, -1],
        [-1, -1, -1, -1, -1, -1, -1],
    ]
    assert HIERARCHY.placed.tolist() == [True] * 6 + [False]


def test_a_path_goes_through_something_both_are_a_kind_of() -> None:
    """The shorter path by a common kind (pet dog) would not be there without that class."""
    hypernyms = TREE | {"pet": ("artifact",), "pet dog": ("dog", "pet")}
    hierarchy = Hierarchy(("dog", "pet", "pet dog"), hypernyms, "")
    assert hierarchy.distances.tolist() == [[0, 4, 1], [4, 0, 1], [1, 1, 0]]


def test_two_classes_of_one_sense_are_a_hop_apart() -> None:
    hierarchy = Hierarchy(("lion", "lion", "tiger", None), TREE, "")
    assert hierarchy.distances[:2].tolist() == [[0, 1, 2, -1], [1, 0, 2, -1]]


def test_a_class_named_by_an_id_of_imagenet21k_has_its_place() -> None:
    """n02122430 (tabby, queen) and n07739125 (apple) are in no table of a data set."""
    names = ["n02122430", "n07739125-apple", "n99999999", "nothing at all"]
    hierarchy = place_classes(names, [()] * 4)
    assert hierarchy.nodes == ("n02122430", "n07739125", None, None)
    assert hierarchy.distances[0, 1] > 4
    assert hierarchy.distances[0, 2] == UNPLACED


def test_a_noun_that_only_one_label_of_imagenet21k_has_stands_there() -> None:
    names = ["polo", "milk", "zzyzx", "unit 7", "billiards"]
    words = [("polo",), ("milk",), ("zzyzx",), ("polo",), ("billiards",)]
    hierarchy = place_classes(names, words)
    assert hierarchy.nodes[0] == hierarchy.nodes[3] == "n00477639"
    assert hierarchy.nodes[1:3] == (None, None)  # several labels are called milk; no noun
    assert "2 classes as the only label of their name" in hierarchy.source
    assert hierarchy.distances[0, 4] > 0


def test_classes_with_nothing_in_common_have_no_distance() -> None:
    with pytest.raises(ValueError, match="lion and ghost are kinds of nothing in common"):
        _ = Hierarchy(("lion", "ghost"), TREE | {"ghost": ()}, "").distances


def test_every_class_of_caltech101_has_a_place() -> None:
    names = caltech101().classes
    hierarchy = place_classes(names, [()] * len(names), "caltech101")
    assert hierarchy.placed.all()
    assert hierarchy.source == "WordNet 3.0 (shipped)"
    hops = {
        (one, other): int(hierarchy.distances[names.index(one), names.index(other)])
        for one, other in (
            ("okapi", "okapi"),
            ("ketch", "schooner"),
            ("chair", "windsor_chair"),
            ("cougar_body", "cougar_face"),  # of one sense
            ("stegosaurus", "brontosaurus"),
            ("okapi", "gerenuk"),
            ("lotus", "water_lilly"),
        )
    }
    assert list(hops.values()) == [0, 2, 2, 1, 6, 5, 1]
    assert hierarchy.distances[names.index("emu"), names.index("pizza")] > 10


def test_a_class_is_placed_by_its_name_or_by_its_words() -> None:
    hierarchy = place_classes(
        ["Rhinos", "my beast", "mouse", "zzz", "takoyaki"],
        [("rhinoceros",), ("okapi",), ("mouse",), ("grand", "zzz"), ("octopus",)],
    )
    rhino, okapi, mouse, unknown, dish = hierarchy.nodes
    assert (rhino, okapi, mouse) == ("n02391994", "n02439398", "n02330245")
    assert unknown is None
    assert dish is None  # no noun is near, so the words are not asked
    assert hierarchy.distances[0].tolist()[3:] == [UNPLACED, UNPLACED]
    assert "n02503517" not in hierarchy.hypernyms  # elephant: above none of them


def test_a_class_that_the_table_lacks_is_placed_by_a_wordnet_folder(tmp_path: Path) -> None:
    senses = {
        "entity": ("", "what is"),
        "okapi": ("entity", "not the table's"),
        "zorgle": ("entity", "something"),
        "blip": ("zorgle", "a small one"),
    }
    ids = tiny_wordnet.write(tmp_path, senses, at={"entity": 1740})
    given = (["okapi", "Zorgles", "tiny_thing"], [("okapi",), (), ("blip",)])
    assert place_classes(*given).nodes == ("n02439398", None, None)
    hierarchy = place_classes(*given, folder=tmp_path)
    assert hierarchy.nodes == ("n02439398", ids["zorgle"], ids["blip"])
    assert hierarchy.source == "WordNet 3.0 (shipped); 2 classes by the WordNet at hand"
    assert hierarchy.distances[1, 2] == 1
    assert hierarchy.distances[0, 1] > 5
    assert place_classes(["okapi"], [()], folder=tmp_path).source == "WordNet 3.0 (shipped)"


def test_another_version_of_wordnet_is_not_mixed_in(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path, {"zorgle": ("", "something")}, version="3.1")
    hierarchy = place_classes(["zorgle"], [()], folder=tmp_path)
    assert hierarchy.nodes == (None,)
    said = "WordNet 3.0 (shipped); the WordNet at hand has version 3.1, not used"
    assert hierarchy.source == said


def test_a_hierarchy_survives_a_json_file() -> None:
    hierarchy = place_classes(["okapi", "zzz", "ketch"], [(), (), ()])
    again = hierarchy_from_dict(json.loads(json.dumps(hierarchy.as_dict())))
    assert again == hierarchy
    assert again.distances.tolist() == hierarchy.distances.tolist()
