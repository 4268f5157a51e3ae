"""Searches of one method, each made once."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.diagnosed import SEEN, UNSEEN, embedded

from devise_exp.core.errors import InputError
from devise_exp.evaluation.protocols import standard_protocols
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
