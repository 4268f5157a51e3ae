"""Class folds: seen classes, drawn by the seed of the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.splits import data_of, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.data.class_folds import AUTO, draw_class_folds, folds_of
from devise_exp.data.splits import Split, named_split


def names_of(split: Split, sets: tuple[np.ndarray, ...]) -> list[set[str]]:
    return [{split.classes[c] for c in fold} for fold in sets]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(10, 90),
    st.integers(1, 5),
    st.one_of(st.integers(0, 6), st.just(AUTO)),
    st.integers(0, 99),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_held_out_classes_are_seen_ones_drawn_by_name(
    n: int, n_unseen: int, asked: int | str, seed: int, clean_share: float, order: int
) -> None:
    data = data_of({f"class {c}": 3 for c in range(n)})
    other = shuffled(data, order)
    n_unseen = min(n_unseen, n - 2)
    unseen = [f"class {c}" for c in range(n_unseen)]
    seen = n - n_unseen
    folds = asked if asked in (0, AUTO) or (seen >= 8 and 2 <= int(asked) <= seen // 2) else 0
    is_clean = np.random.default_rng(order).random(n) < clean_share
    clean_names = {f"class {c}" for c in range(n_unseen, n) if is_clean[c]}
    drawn = []
    for shown in (data, other):
        split = named_split(shown, unseen, seed=seed)
        clean = np.array([c for c in split.seen if split.classes[c] in clean_names], dtype=int)
        sets = draw_class_folds(split, clean, folds)
        assert set(np.concatenate([split.unseen, *sets])) <= {*split.seen, *split.unseen}
        named = names_of(split, sets)
        assert len({frozenset(fold) for fold in named}) == len(named)
        together = [name for fold in (named[:2] if folds == AUTO else named) for name in fold]
        assert len(together) == len(set(together))
        assert not set(together) & set(unseen)
        drawn.append(named)
    assert drawn[0] == drawn[1]  # the order of classes decides nothing
    if folds == 0 or seen < 8:
        assert drawn[0] == []
        return
    n_disjoint = 2 if folds == AUTO else int(folds)
    assert len(drawn[0]) >= n_disjoint
    assert len(drawn[0]) <= (folds_of(seen) if folds == AUTO else n_disjoint)
    sizes = {len(fold) for fold in drawn[0]}
    assert len(sizes) == 1
    assert 2 <= sizes.pop() <= round(seen / 5)
    if len(clean_names) >= 4 * n_disjoint:  # overlapping ones serve where there are fewer
        assert set().union(*drawn[0]) <= clean_names


def test_the_seed_of_the_split_draws_the_held_out_classes() -> None:
    data = data_of({f"class {c}": 3 for c in range(40)})
    drawn = [
        names_of(split, draw_class_folds(split, split.seen, 2))
        for split in (named_split(data, ["class 1"], seed=seed) for seed in (0, 0, 1))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(fold) for fold in drawn[0]] == [8, 8]


@pytest.mark.parametrize(
    ("n_seen", "n_folds", "size"), [(72, 2, 14), (60, 2, 12), (40, 6, 8), (20, 12, 4), (12, 12, 2)]
)
def test_the_fewer_classes_the_more_folds_and_the_first_two_are_those_of_many(
    n_seen: int, n_folds: int, size: int
) -> None:
    split = named_split(data_of({f"class {c:02}": 3 for c in range(n_seen + 1)}), ["class 00"])
    few = split.seen[:7]  # too few clean ones to draw from these alone
    folds = names_of(split, draw_class_folds(split, few, AUTO))
    assert [len(fold) for fold in folds] == [size] * n_folds
    assert folds[:2] == names_of(split, draw_class_folds(split, few, 2))


def test_no_fold_is_drawn_twice_though_few_are_possible() -> None:
    """Of eight clean classes, in fours, there are 70 folds; of four in pairs 6."""
    split = named_split(data_of({f"class {c}": 3 for c in range(21)}), ["class 1"])
    folds = names_of(split, draw_class_folds(split, split.seen[:8], AUTO))
    assert len({frozenset(fold) for fold in folds}) == len(folds) == 12
    few = named_split(data_of({f"class {c}": 3 for c in range(8)}), ["class 1"])
    assert draw_class_folds(few, few.seen, AUTO) == ()


@pytest.mark.parametrize("wrong", [-1, 1.5, "maybe", None, True])
def test_a_wrong_number_of_class_folds(wrong: Any) -> None:
    split = named_split(data_of({f"class {c}": 3 for c in range(20)}), ["class 1"])
    with pytest.raises(InputError, match=f"class_folds={wrong}: give a whole .* 2 to half"):
        draw_class_folds(split, split.seen, wrong)


@pytest.mark.parametrize(
    ("n_seen", "asked", "line"),
    [
        (12, 9999, "class_folds=9999: 12 seen classes allow 2 to 6 class folds: give such a"),
        (12, 7, "class_folds=7: 12 seen classes allow 2 to 6 class folds: give such a"),
        (12, 1, "class_folds=1: 12 seen classes allow 2 to 6 class folds: give such a"),
        (7, 2, "class_folds=2: 7 seen classes allow no class fold, which takes 8 of them"),
    ],
)
def test_a_number_that_the_data_do_not_allow_is_refused_with_the_range(
    n_seen: int, asked: int, line: str
) -> None:
    split = named_split(data_of({f"class {c:02}": 3 for c in range(n_seen + 1)}), ["class 00"])
    with pytest.raises(InputError, match=line):
        draw_class_folds(split, split.seen, asked)


def test_a_run_of_before_goes_on_with_the_folds_that_it_had() -> None:
    few = named_split(data_of({f"class {c}": 3 for c in range(8)}), ["class 1"])
    assert draw_class_folds(few, few.seen, 2, strict=False) == ()
    more = named_split(data_of({f"class {c:02}": 3 for c in range(21)}), ["class 00"])
    (fold,) = draw_class_folds(more, more.seen, 1, strict=False)
    assert len(fold) == 4
    assert set(fold) < set(more.seen)
    with pytest.raises(InputError, match="class_folds=-1: give"):
        draw_class_folds(more, more.seen, -1, strict=False)
