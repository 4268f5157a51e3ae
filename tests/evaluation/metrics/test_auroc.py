"""AUROC against pairs counted one by one, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.evaluation.metrics.auroc import auroc

scores = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


def counted(positive: list[int], negative: list[int]) -> float:
    pairs = [(p, n) for p in positive for n in negative]
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)


@given(scores, scores)
def test_it_is_the_share_of_pairs_in_order(positive: list[int], negative: list[int]) -> None:
    actual = auroc(np.array(positive), np.array(negative))
    assert actual == pytest.approx(counted(positive, negative), abs=1e-12)


def test_hand_worked_cases() -> None:
    assert auroc(np.array([3.0, 1.0]), np.array([2.0, 0.0])) == 0.75
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5
    with pytest.raises(ValueError, match="0 and 1 scores"):
        auroc(np.array([]), np.array([1.0]))
    with pytest.raises(ValueError, match="finite"):
        auroc(np.array([np.nan]), np.array([1.0]))
