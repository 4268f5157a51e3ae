"""Searches of one method, each made once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.diagnosed import SEEN, UNSEEN, embedded

from devise_exp.core.errors import InputError
from devise_exp.evaluation import ranker as ranking
from devise_exp.evaluation.protocols import Protocol, standard_protocols
from devise_exp.evaluation.ranker import Ranker
from devise_exp.index.exact import ExactIndex

PROTOCOLS = standard_protocols(SEEN, UNSEEN)


class CountingIndex(ExactIndex):
    """Exact search that counts its searches."""

    searches = 0

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        type(self).searches += 1
        return super().search(queries, k)


def test_a_search_that_is_deep_enough_is_not_made_again() -> None:
    CountingIndex.searches = 0
    ranker = Ranker(embedded(), CountingIndex)
    first, truth = ranker.ranked(PROTOCOLS[0], 5)
    again, _ = ranker.ranked(PROTOCOLS[0], 3)
    assert CountingIndex.searches == 1
    np.testing.assert_array_equal(again, first[:, :3])
    assert len(truth) == len(first)
    ranker.ranked(PROTOCOLS[0], 10)
    assert CountingIndex.searches == 2
    assert ranker.recalls == [1, 1]


def test_only_the_classes_that_count_need_to_be_candidates() -> None:
    candidates, ranker = UNSEEN[:2], Ranker(embedded(), ExactIndex)
    of_two = Protocol(name="two", images="unseen", candidates=candidates, classes=candidates)
    rankings, truth = ranker.ranked(of_two, 2)
    assert set(truth.tolist()) == set(candidates.tolist())
    assert len(rankings) == len(truth)
    of_all = dataclasses.replace(of_two, classes=None)
    with pytest.raises(InputError, match="not among the 2 candidates"):
        ranker.ranked(of_all, 2)


def test_the_depth_is_at_most_the_number_of_candidates() -> None:
    rankings, _ = Ranker(embedded(), ExactIndex).ranked(PROTOCOLS[1], 99)
    assert rankings.shape[1] == len(UNSEEN)
    assert set(rankings[0].tolist()) == set(UNSEEN.tolist())


def test_an_index_that_ranks_a_label_twice_is_named() -> None:
    class Repeating(ExactIndex):
        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            ids, similarities = super().search(queries, k)
            ids[:, -1] = ids[:, 0]
            return ids, similarities

    with pytest.raises(InputError, match="labels of seen images: row 0 names an id twice"):
        Ranker(embedded(), Repeating).ranked(PROTOCOLS[0], 5)


@pytest.mark.parametrize("at_once", [1, 3, 1 << 14])
def test_rankings_do_not_depend_on_how_many_images_are_searched_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = dataclasses.replace(embedded(), gamma=0.05)
    protocols = standard_protocols(SEEN, UNSEEN, calibrated=True)
    expected = [Ranker(model, ExactIndex).ranked(protocol, 5) for protocol in protocols]
    labels = np.concatenate([SEEN, UNSEEN])
    rows, _ = ExactIndex(model.class_vectors[labels]).search(model.seen.vectors, 5)
    monkeypatch.setattr(ranking, "IMAGES_AT_ONCE", at_once)
    ranker = Ranker(model, CountingIndex)
    for protocol, (rankings, truth) in zip(protocols, expected, strict=True):
        again, same_truth = ranker.ranked(protocol, 5)
        np.testing.assert_array_equal(again, rankings)
        np.testing.assert_array_equal(same_truth, truth)
        assert again.dtype == np.int16  # ids of a run's images are many
        if protocol.name == "all_seen":
            np.testing.assert_array_equal(again, labels[rows])


def test_recall_is_measured_on_images_that_are_evenly_spread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class LastWrong(ExactIndex):
        """Wrong neighbours for the second half of the images."""

        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            ids, similarities = super().search(queries, len(self))
            ids[len(ids) // 2 :] = ids[len(ids) // 2 :, ::-1]
            return ids[:, :k], similarities[:, :k]

    n = len(embedded().seen.vectors)
    whole, sample = Ranker(embedded(), LastWrong), Ranker(embedded(), LastWrong)
    whole.ranked(PROTOCOLS[0], 1)
    monkeypatch.setattr(ranking, "RECALL_SAMPLE", n // 2)
    sample.ranked(PROTOCOLS[0], 1)
    assert whole.recalls == [(n // 2) / n]
    assert sample.recalls[0] == pytest.approx(0.5, abs=2 / n)
