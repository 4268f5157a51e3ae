"""Candidate sets: their protocols, and hierarchical precision against the full matrix of hops."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_hierarchy import TREE

from devise_exp.core.errors import InputError
from devise_exp.evaluation import candidate_sets
from devise_exp.evaluation.candidate_sets import (
    PlacedLabels,
    candidate_protocols,
    hierarchical_records,
)
from devise_exp.evaluation.metrics.hierarchical import chance_precision, hierarchical_precision
from devise_exp.evaluation.protocols import Protocol
from devise_exp.text.wordnet.hierarchy import Hierarchy

NODES = ("lion", "tiger", "cat", "dog", "boat", "ferry", None, "lion", "dog")
SEEN, UNSEEN = np.array([0, 3, 6]), np.array([1, 2, 4])
LABELS = PlacedLabels(
    nodes=NODES,
    hypernyms=TREE,
    sets={"hop1": np.array([0, 1, 5, 7]), "hop2": np.array([5, 7]), "all": np.arange(9)},
)


def test_a_set_has_two_protocols_of_the_unseen_classes_in_it() -> None:
    protocols = candidate_protocols(LABELS, SEEN, UNSEEN)
    content = {p.name: (p.candidates.tolist(), p.classes.tolist(), p.images) for p in protocols}
    assert content == {
        "hop1_unseen": ([1, 5, 7], [1], "unseen"),
        "hop1_all_unseen": ([0, 1, 3, 5, 6, 7], [1], "unseen"),
        "all_unseen": ([1, 2, 4, 5, 7, 8], [1, 2, 4], "unseen"),
        "all_all_unseen": ([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 4], "unseen"),
    }


def test_a_k_above_the_labels_that_a_class_can_reach_is_refused() -> None:
    """A label that has nothing in common with others is no right answer for them."""
    labels = PlacedLabels(nodes=("lion", "ghost", "tiger"), hypernyms=TREE | {"ghost": ()}, sets={})
    protocol = Protocol(name="all", images="unseen", candidates=np.arange(3))
    ranked = np.array([[0, 1, 2], [1, 0, 2]])
    (hp, *_) = hierarchical_records("devise", protocol, ranked, np.array([0, 1]), (1,), labels)
    assert hp.value == 1.0
    with pytest.raises(InputError, match="k is 2"):
        hierarchical_records("devise", protocol, ranked, np.array([0, 1]), (2,), labels)


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_precision_is_that_of_the_full_matrix(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_sets, "_CLASSES_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    hops = Hierarchy(NODES, TREE, "").distances
    candidates = np.arange(9)
    protocol = Protocol(name="all_all_unseen", images="unseen", candidates=candidates)
    truth = rng.choice(UNSEEN, size=40)
    neighbours = np.stack([rng.permutation(candidates) for _ in truth])
    records = hierarchical_records("devise", protocol, neighbours, truth, (1, 2, 5, 9), LABELS)
    values = {(r.method, r.metric, r.k): r.value for r in records}
    for k in (1, 2, 5):
        expected = hierarchical_precision(neighbours, truth, candidates, hops, k).mean()
        assert values["devise", "hp", k] == pytest.approx(expected)
        by_chance = chance_precision(truth, candidates, hops, k).mean()
        assert values["chance", "hp", k] == pytest.approx(by_chance)
    assert ("devise", "hp", 9) not in values  # eight have a place
    assert values["devise", "hp_classes", None] == 3
    assert values["devise", "hp_images", None] == 40
