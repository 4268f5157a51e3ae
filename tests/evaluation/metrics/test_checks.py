"""Arguments of metrics that cannot be measured are refused."""

from __future__ import annotations

import numpy as np
import pytest

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.checks import check_no_repeats, check_truth


def test_a_query_with_no_true_answer_is_named() -> None:
    check_truth(np.array([3, 5, 5]), np.array([5, 3, 8]))
    with pytest.raises(
        InputError, match=r"no true answer: query 1 has label 7, .* 3 candidates .*2 of 4"
    ):
        check_truth(np.array([3, 7, 5, 9]), np.array([5, 3, 8]))


def test_a_row_that_names_an_id_twice_is_named() -> None:
    check_no_repeats(np.array([[1, 2, 3], [4, 5, 6]]), "labels")
    with pytest.raises(InputError, match=r"labels: row 1 names an id twice \(1 of 2"):
        check_no_repeats(np.array([[1, 2, 3], [4, 5, 4]]), "labels")


def test_ids_are_whole_numbers() -> None:
    none, ids = np.array([], dtype=int), np.array([0, 1])
    for truth, candidates in ((none, ids), (ids, none), (ids / 2, ids), (ids[None], ids)):
        with pytest.raises(InputError, match="found shape"):
            check_truth(truth, candidates)
