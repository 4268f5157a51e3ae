"""Hierarchical precision against hand-worked cases and the pseudo-code of the paper."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_hierarchy import (
    BOAT,
    CAT,
    DISTANCES,
    DOG,
    FERRY,
    LION,
    TIGER,
    UNKNOWN,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.hierarchical import (
    chance_precision,
    correct_sets,
    hierarchical_precision,
    precisions,
    support,
)
from devise_exp.evaluation.metrics.hits import hit_at_k, rank_of_truth
from devise_exp.text.wordnet.hierarchy import (
    Hierarchy,
)


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
    shares = precisions(neighbours, truth, candidates, DISTANCES, (1, 2, 3))
    assert {k: shares.tolist() for k, shares in shares.items()} == {1: [1, 0], 2: [0.5, 1]}
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


@settings(max_examples=30, deadline=None)
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
        shares = hierarchical_precision(neighbours, truth, candidates, distances, k)
        assert shares.tolist() == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
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
    shares = chance_precision(truth, candidates, distances, k)
    np.testing.assert_allclose(shares, expected)
    assert (shares >= k / len(candidates) - 1e-12).all()


def test_chance_by_eye() -> None:
    shares = chance_precision(np.array([CAT, LION, CAT]), np.arange(7), DISTANCES, 2)
    assert shares.tolist() == pytest.approx([3 / 7, 2 / 7, 3 / 7])


def test_the_support_by_hand() -> None:
    """Of lion, tiger, cat and a class without a place, three classes and five images count."""
    truth = np.array([LION, LION, TIGER, CAT, CAT, UNKNOWN, UNKNOWN])
    assert support(truth, DISTANCES) == (3, 5)
    assert support(np.array([UNKNOWN]), DISTANCES) == (0, 0)
