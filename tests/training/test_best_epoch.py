"""Which epoch a training ends as, and when it ends."""

from __future__ import annotations

import pytest

from devise_exp.training.best_epoch import MANY_ROWS, BestEpoch

SCORES = (0.5, 1.0, 0.9, 1.0, 1.0, 0.8)


@pytest.mark.parametrize(("n_rows", "epoch"), [(MANY_ROWS, 1), (MANY_ROWS - 1, 4), (5, 4)])
def test_of_equals_it_is_the_first_and_with_little_validation_the_last(
    n_rows: int, epoch: int
) -> None:
    best = BestEpoch(n_rows=n_rows)
    kept = [number for number, score in enumerate(SCORES) if best.improves(number, score)]
    assert kept[-1] == best.epoch == epoch
    assert best.score == 1.0


def test_an_epoch_of_no_hit_is_better_than_none() -> None:
    assert BestEpoch(n_rows=5).improves(0, 0.0)


def test_patience_counts_from_the_rise_of_the_score_and_not_from_its_equals() -> None:
    best = BestEpoch(n_rows=5)
    ends = []
    for number, score in enumerate(SCORES):
        best.improves(number, score)
        ends.append(best.is_late(number, 3))
    assert ends == [False, False, False, False, True, True]
    assert not best.is_late(100, None)


def test_a_checkpoint_goes_on_where_it_was_also_one_of_before() -> None:
    best, again, old = (BestEpoch(n_rows=5) for _ in range(3))
    for number, score in enumerate(SCORES):
        best.improves(number, score)
    again.restore(best.state())
    assert again == best
    old.restore({"best": 0.75, "epoch": 3})
    assert (old.score, old.epoch, old.risen) == (0.75, 3, 3)
