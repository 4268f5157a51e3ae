from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny_wordnet
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.caltech import caltech101
from devise_exp.evaluation.metrics.hierarchical import (
    chance_precision,
    correct_sets,
    hierarchical_precision,
    precisions,
)
from devise_exp.evaluation.metrics.hits import hit_at_k, rank_of_truth
from devise_exp.text.wordnet.hierarchy import (
    UNPLACED,
    Hierarchy,
    hierarchy_from_dict,
    place_classes,
)

# animal: cat (lion, tiger), dog; artifact: boat (ferry)
TREE = {
    "entity": (),
    "animal": ("entity",),
    "artifact": ("entity",),
    "cat": ("animal",),
    "dog": ("animal",),
    "lion": ("cat",),
    "tiger": ("cat",),
    "boat": ("artifact",),
    "ferry": ("boat",),
}
CLASSES = ("lion", "tiger", "cat", "dog", "boat", "ferry", None)
LION, TIGER, CAT, DOG, BOAT, FERRY, UNKNOWN = range(7)
HIERARCHY = Hierarchy(CLASSES, TREE, "by hand")
DISTANCES = HIERARCHY.distances


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


def test_classes_with_nothing_in_common_have_no_distance() -> None:
    with pytest.raises(ValueError, match="lion and ghost are kinds of nothing in common"):
        _ = Hierarchy(("lion", "ghost"), TREE | {"ghost": ()}, "").distances


@pytest.mark.parametrize(
    ("truth", "candidates", "k", "right"),
    [
        (LION, range(6), 1, {LION}),
        (LION, range(6), 2, {LION, CAT}),  # cat is one hop away
        (LION, range(6), 3, {LION, CAT, TIGER}),
        (LION, range(6), 4, {LION, CAT, TIGER, DOG}),
        (LION, range(6), 5, {LION, CAT, TIGER, DOG, BOAT}),
        (CAT, range(6), 2, {CAT, LION, TIGER}),  # both are one hop away
        (CAT, range(6), 3, {CAT, LION, TIGER}),
        (FERRY, range(6), 3, {FERRY, BOAT, CAT, DOG}),  # 5 hops
        (LION, [LION, DOG, BOAT], 2, {LION, DOG}),  # of the candidates only
        (LION, [UNKNOWN, LION, DOG, BOAT], 3, {LION, DOG, BOAT}),
    ],
)
def test_right_answers_by_eye(truth: int, candidates: list[int], k: int, right: set[int]) -> None:
    ids = np.array(list(candidates))
    sets = correct_sets(DISTANCES, np.array([truth]), ids, k)
    assert set(ids[sets[0]].tolist()) == right


def test_hierarchical_precision_by_eye() -> None:
    neighbours = np.array([[LION, DOG, CAT], [FERRY, TIGER, LION], [DOG, UNKNOWN, CAT]])
    truth = np.array([LION, TIGER, DOG])
    candidates = np.arange(7)
    by_k = {
        k: hierarchical_precision(neighbours, truth, candidates, DISTANCES, k).tolist()
        for k in (1, 2, 3)
    }
    # Right at 2: lion, cat; tiger, cat; dog, cat. At 3: lion, cat, tiger twice; all four animals.
    assert by_k[1] == [1, 0, 1]
    assert by_k[2] == [1 / 2, 1 / 2, 1 / 2]
    assert by_k[3] == pytest.approx([2 / 3, 2 / 3, 2 / 3])


def test_images_without_a_place_are_left_out_and_large_ks_too() -> None:
    neighbours = np.array([[LION, UNKNOWN, DOG], [UNKNOWN, LION, DOG], [DOG, LION, UNKNOWN]])
    candidates = np.array([LION, DOG, UNKNOWN])
    truth = np.array([LION, UNKNOWN, LION])
    found = precisions(neighbours, truth, candidates, DISTANCES, (1, 2, 3))
    assert {k: shares.tolist() for k, shares in found.items()} == {1: [1, 0], 2: [0.5, 1]}
    assert precisions(neighbours[1:2], truth[1:2], candidates, DISTANCES, (1, 2)) == {}


def test_what_has_no_hierarchical_precision() -> None:
    neighbours, candidates = np.array([[LION, DOG]]), np.array([LION, DOG, UNKNOWN])
    for truth, k, message in (
        (UNKNOWN, 1, "has no place in the hierarchy"),
        (CAT, 1, "no true answer"),
        (LION, 0, "k is 0"),
        (LION, 3, "there are 2 candidates"),
    ):
        with pytest.raises(InputError, match=message):
            hierarchical_precision(neighbours, np.array([truth]), candidates, DISTANCES, k)
    with pytest.raises(InputError, match="there are 2 candidates"):  # of them, two have a place
        correct_sets(DISTANCES, np.array([LION]), candidates, 3)


@st.composite
def tasks(draw: st.DrawFn) -> tuple[list[int], list[int], np.ndarray, np.ndarray, np.ndarray]:
    """(parent of each node, node of each class, candidates, truth (N,), neighbours (N, K))."""
    parents = [draw(st.integers(0, i)) for i in range(draw(st.integers(1, 14)))]
    nodes = draw(st.permutations(range(len(parents) + 1)))[: draw(st.integers(1, len(parents) + 1))]
    ids = draw(st.lists(st.sampled_from(range(len(nodes))), min_size=1, unique=True))
    truth = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4))
    ranked = [draw(st.permutations(ids)) for _ in truth]
    return parents, list(nodes), np.array(ids), np.array(truth), np.array(ranked)


def hierarchy_of(parents: list[int], nodes: list[int]) -> Hierarchy:
    hypernyms = {"0": ()} | {str(i + 1): (str(parent),) for i, parent in enumerate(parents)}
    return Hierarchy(tuple(map(str, nodes)), hypernyms, "")


def hop_apart(parents: list[int], node: int, radius: int) -> set[int]:
    """The nodes `radius` hops away along the edges of the tree, in either direction."""
    reached, ring = {node}, {node}
    for _ in range(radius):
        ring = {
            other
            for child, parent in enumerate(parents, start=1)
            for one, other in ((child, parent), (parent, child))
            if one in ring
        } - reached
        reached |= ring
    return ring


@settings(max_examples=60, deadline=None)
@given(tasks())
def test_against_the_pseudo_code_of_the_paper(task: tuple) -> None:
    """DeViSE's supplement, appendix B, word for word."""
    parents, nodes, candidates, truth, neighbours = task
    distances = hierarchy_of(parents, nodes).distances
    valid = {nodes[i]: i for i in candidates.tolist()}
    for k in range(1, len(candidates) + 1):
        expected = []
        for true, ranked in zip(truth.tolist(), neighbours.tolist(), strict=True):
            correct: set[int] = set()
            radius = 0
            while len(correct) < k:
                around = hop_apart(parents, nodes[true], radius)
                correct |= {valid[node] for node in around if node in valid}
                radius += 1
            expected.append(len(correct & set(ranked[:k])) / k)
        found = hierarchical_precision(neighbours, truth, candidates, distances, k)
        assert found.tolist() == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(tasks())
def test_at_one_it_is_hit_at_one_and_a_ranking_by_distance_is_perfect(task: tuple) -> None:
    parents, nodes, candidates, truth, neighbours = task
    distances = hierarchy_of(parents, nodes).distances
    first = hierarchical_precision(neighbours, truth, candidates, distances, 1)
    hits = hit_at_k(rank_of_truth(neighbours, truth), 1)
    assert first.tolist() == hits.tolist()
    by_distance = candidates[distances[np.ix_(truth, candidates)].argsort(axis=1)]
    for k in range(1, len(candidates) + 1):
        assert hierarchical_precision(by_distance, truth, candidates, distances, k).min() == 1


@settings(max_examples=15, deadline=None)
@given(tasks(), st.integers(1, 14))
def test_chance_is_the_mean_over_all_first_answers(task: tuple, k: int) -> None:
    parents, nodes, candidates, truth, _ = task
    k = min(k, len(candidates))
    distances = hierarchy_of(parents, nodes).distances
    turns = [np.roll(candidates, i) for i in range(len(candidates))]  # each label, each place
    shares = [
        hierarchical_precision(np.tile(turn, (len(truth), 1)), truth, candidates, distances, k)
        for turn in turns
    ]
    expected = np.mean(shares, axis=0)
    found = chance_precision(truth, candidates, distances, k)
    np.testing.assert_allclose(found, expected)
    assert (found >= k / len(candidates) - 1e-12).all()


def test_chance_by_eye() -> None:
    found = chance_precision(np.array([CAT, LION, CAT]), np.arange(7), DISTANCES, 2)
    assert found.tolist() == pytest.approx([3 / 7, 2 / 7, 3 / 7])


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
