"""Class folds: disjoint seen classes, drawn by the seed of the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.splits import data_of, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.class_folds import draw_class_folds
from devise_exp.data.splits import Split, named_split


def names_of(split: Split, sets: tuple[np.ndarray, ...]) -> list[set[str]]:
    return [{split.classes[c] for c in fold} for fold in sets]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(5, 60),
    st.integers(1, 5),
    st.integers(0, 6),
    st.integers(0, 99),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_held_out_classes_are_seen_ones_drawn_by_name(
    n: int, n_unseen: int, folds: int, seed: int, clean_share: float, order: int
) -> None:
    data = data_of({f"class {c}": 3 for c in range(n)})
    other = shuffled(data, order)
    n_unseen = min(n_unseen, n - 2)
    unseen = [f"class {c}" for c in range(n_unseen)]
    is_clean = np.random.default_rng(order).random(n) < clean_share
    clean_names = {f"class {c}" for c in range(n_unseen, n) if is_clean[c]}
    drawn = []
    for shown in (data, other):
        split = named_split(shown, unseen, seed=seed)
        clean = np.array([c for c in split.seen if split.classes[c] in clean_names], dtype=int)
        sets = draw_class_folds(split, clean, folds)
        assert set(np.concatenate([split.unseen, *sets])) <= {*split.seen, *split.unseen}
        together = [name for fold in names_of(split, sets) for name in fold]
        assert len(together) == len(set(together)) == sum(map(len, sets))
        assert not set(together) & set(unseen)
        drawn.append(names_of(split, sets))
    assert drawn[0] == drawn[1]  # the order of classes decides nothing
    seen = n - n_unseen
    if folds == 0 or seen < 8:
        assert drawn[0] == []
    if drawn[0]:
        assert len(drawn[0]) == folds
        sizes = {len(fold) for fold in drawn[0]}
        assert len(sizes) == 1
        assert 2 <= sizes.pop() <= round(seen / 5)
    if folds and len(clean_names) >= 4 * folds:
        assert set().union(*drawn[0]) <= clean_names
    elif folds in (1, 2) and seen >= 8:
        assert drawn[0]  # overlapping ones serve where there are too few clean ones


def test_the_seed_of_the_split_draws_the_held_out_classes() -> None:
    data = data_of({f"class {c}": 3 for c in range(40)})
    drawn = [
        names_of(split, draw_class_folds(split, split.seen, 2))
        for split in (named_split(data, ["class 1"], seed=seed) for seed in (0, 0, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(fold) for fold in drawn[0]] == [8, 8]


@pytest.mark.parametrize("wrong", [-1, 1.5, "maybe", None, True])
def test_a_wrong_number_of_class_folds(wrong: Any) -> None:
    split = named_split(data_of({f"class {c}": 3 for c in range(20)}), ["class 1"])
    with pytest.raises(InputError, match=rf"class_folds={wrong}: give a whole number from 0 on"):
        draw_class_folds(split, split.seen, wrong)
