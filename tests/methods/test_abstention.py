"""The threshold of "none of the labels": chosen on class folds, by seen classes alone."""

from __future__ import annotations

import numpy as np
import pytest

from devise_exp.core.vectors import normalize_rows
from devise_exp.data.splits import Split
from devise_exp.evaluation.abstention import KnownScores
from devise_exp.methods.abstention import choose_threshold, fold_scores
from devise_exp.methods.method import FittedMethod
from devise_exp.methods.task import SelectionError, Task, class_fold, make_task


def scores(known: list[float], unknown: list[float]) -> KnownScores:
    return KnownScores(np.array(known), np.array(unknown))


def test_the_threshold_parts_known_from_unknown_and_each_side_weighs_the_same() -> None:
    assert choose_threshold([scores([0.9, 0.8], [0.5, 0.7])]) == 0.8
    assert choose_threshold([]) is None
    few, many = scores([0.9], [0.3]), scores([0.6] * 30, [0.5] * 30)
    assert choose_threshold([few, many]) == 0.6
    alike = scores([0.4, 0.4], [0.4, 0.4])  # nothing is told apart: none is said of nothing
    assert choose_threshold([alike]) == 0.4


def test_it_is_the_best_of_all_thresholds() -> None:
    rng = np.random.default_rng(2)
    sides = [scores(rng.normal(1, 1, n).tolist(), rng.normal(0, 1, n).tolist()) for n in (9, 40)]

    def gain(threshold: float) -> float:
        return sum(
            float((s.known >= threshold).mean() + (s.unknown < threshold).mean()) for s in sides
        )

    every = np.concatenate([v for side in sides for v in (side.known, side.unknown)])
    chosen = choose_threshold(sides)
    assert chosen is not None
    assert gain(chosen) == pytest.approx(max(map(gain, every)))


def task_of() -> Task:
    """Five seen classes and two unseen ones; the features are the class vectors, with noise."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(7), 6)
    vectors = normalize_rows(rng.normal(size=(7, 5)))
    features = normalize_rows(vectors[labels] + 0.1 * rng.normal(size=(42, 5)))
    rows = np.arange(42)
    seen_rows = rows[labels < 5]
    split = Split(
        name="small", seed=0, classes=tuple("abcdefg"), seen=np.arange(5), unseen=np.arange(5, 7),
        train=seen_rows[seen_rows % 6 < 3], val=seen_rows[seen_rows % 6 == 3],
        test=seen_rows[seen_rows % 6 > 3], unseen_rows=rows[labels > 4], fingerprint="",
    )  # fmt: skip
    return make_task(split, labels, vectors, features, 0)


def test_a_fold_is_scored_among_seen_labels_by_rows_of_seen_classes() -> None:
    task = task_of()
    fold = class_fold(task, np.array([1, 3]))
    fitted = FittedMethod(task.class_vectors, normalize_rows)
    sides = fold_scores(fitted, task, fold)
    for side, rows in zip(sides, (fold.seen_rows, fold.unseen_rows), strict=True):
        assert len(side.known) == len(rows) > 0
        for known, unknown, row in zip(side.known, side.unknown, rows, strict=True):
            cosines = task.features[np.array([row])][0] @ task.class_vectors[:5].T
            others = np.delete(cosines, task.class_ids[row])
            assert known == pytest.approx(cosines.max(), abs=1e-5)
            assert unknown == pytest.approx(others.max(), abs=1e-5)
    threshold = choose_threshold(sides)
    assert threshold is not None
    assert all((side.unknown < threshold).mean() > 0.5 for side in sides)


def test_the_guard_refuses_rows_of_unseen_classes() -> None:
    task = task_of()
    fold = class_fold(task, np.array([1, 3]))
    fitted = FittedMethod(task.class_vectors, normalize_rows)
    wrong = type(fold)(fold.task, fold.seen_rows, np.array([40]))
    with pytest.raises(SelectionError):
        fold_scores(fitted, task, wrong)
