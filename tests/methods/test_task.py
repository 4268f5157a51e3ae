"""What a method may learn from: rows that stay closed, and a method that looks at them stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split, random_split
from devise_exp.methods.prior import PretrainedClassifier
from devise_exp.methods.task import (
    GuardedFeatures,
    SelectionError,
    Task,
    class_fold,
    make_task,
)
from devise_exp.pipelines import run


@dataclass(frozen=True, eq=False)
class Case:
    """A task with the split that it is of."""

    task: Task
    split: Split


def case(seed: int, n_classes: int, n_unseen: int, images: int = 6) -> Case:
    rng = np.random.default_rng(seed)
    names = [f"class {c}" for c in range(n_classes)]
    ids = rng.permutation(np.repeat(np.arange(n_classes), images + np.arange(n_classes) % 3))
    rows = LabelledRows(classes=names, labels=ids, rows=[f"{i}" for i in range(len(ids))])
    split = random_split(rows, n_unseen, seed)
    known = PretrainedClassifier(
        tuple(f"category {i}" for i in range(7)),
        *(rng.normal(size=shape).astype(np.float32) for shape in ((7, 3), 7, (7, 4))),
    )
    vectors, features = rng.normal(size=(n_classes, 4)), rng.normal(size=(len(ids), 3))
    return Case(make_task(split, ids, vectors, features, seed, known), split)


cases = st.builds(case, st.integers(0, 99), st.integers(5, 12), st.integers(1, 3))


def had(task: Task) -> list[int]:
    """The rows whose features can be had, asked for one by one."""
    result = []
    for row in range(len(task.class_ids)):
        try:
            features = task.features[np.array([row])]
        except SelectionError:
            continue
        np.testing.assert_array_equal(features, task.features.features[[row]])
        result.append(row)
    return result


# The guard


@settings(max_examples=25, deadline=None)
@given(cases)
def test_a_task_opens_training_and_validation_rows_and_no_others(drawn: Case) -> None:
    task, split = drawn.task, drawn.split
    opened = had(task)
    assert opened == sorted({*split.train.tolist(), *split.val.tolist()})
    assert not set(opened) & {*split.test.tolist(), *split.unseen_rows.tolist()}
    assert set(task.class_ids[opened].tolist()) == set(split.seen.tolist())
    np.testing.assert_array_equal(task.features[task.val], task.features.features[split.val])


@settings(max_examples=30, deadline=None)
@given(cases, st.lists(st.integers(-150, 150), max_size=12))
def test_one_row_that_is_not_open_is_enough_to_be_refused(drawn: Case, rows: list[int]) -> None:
    features = drawn.task.features
    opened = set(np.flatnonzero(features.open).tolist())
    if set(rows) <= opened:
        np.testing.assert_array_equal(
            features[np.array(rows, dtype=np.int64)], features.features[rows]
        )
    else:
        with pytest.raises(SelectionError):
            features[np.array(rows)]


@pytest.mark.parametrize(
    "rows",
    [
        np.array([-1]),
        np.array([4]),
        np.array([10**9]),
        np.array([True, False, True, False]),
        [True, True, False, False],
        slice(None),
        slice(0, 2),
        Ellipsis,
        None,
        np.array([0.0]),
        np.array([[0, 1]]),
        "0",
        0,
    ],
    ids=repr,
)
def test_rows_are_asked_for_by_their_numbers(rows: Any) -> None:
    guarded = GuardedFeatures(np.eye(4), np.array([True, True, True, True]))
    with pytest.raises(SelectionError, match="by their numbers, from 0 to 3"):
        guarded[rows]


def test_what_was_had_is_a_copy_and_says_who_asked_too_much() -> None:
    bank = np.arange(12, dtype=np.float16).reshape(4, 3)
    guarded = GuardedFeatures(bank, np.array([True, False, True, False]))
    assert (guarded.dim, guarded[np.array([], dtype=np.int64)].shape) == (3, (0, 3))
    this = guarded[np.array([2, 0, 2])]
    np.testing.assert_array_equal(this, bank[[2, 0, 2]])
    this[:] = 99
    assert bank.max() == 11
    with pytest.raises(SelectionError, match=r"2 rows of unseen classes .* \(row 3 first\)"):
        guarded[np.array([0, 3, 2, 1])]


@settings(max_examples=25, deadline=None)
@given(cases)
def test_targets_are_places_among_the_seen_classes(drawn: Case) -> None:
    task = drawn.task
    seen = task.seen.tolist()
    expected = [seen.index(c) for c in task.class_ids[task.train].tolist()]
    assert task.targets(task.train).tolist() == expected


# Class folds


@settings(max_examples=25, deadline=None)
@given(cases, st.data())
def test_held_out_classes_are_closed_to_the_class_fold_and_open_to_the_whole_task(
    drawn: Case, data: st.DataObject
) -> None:
    task = drawn.task
    held_out = data.draw(st.lists(st.sampled_from(task.seen.tolist()), min_size=1, unique=True))
    if len(held_out) == len(task.seen):
        held_out = held_out[:-1]
    created = class_fold(task, np.array(held_out), {"category 2", "category 5"})
    inner, ids = created.task, task.class_ids
    assert sorted(held_out) == inner.unseen.tolist()
    assert {*inner.seen.tolist(), *held_out} == set(task.seen.tolist())
    assert not set(inner.seen.tolist()) & set(held_out)
    assert had(inner) == [row for row in had(task) if ids[row] not in held_out]
    assert {*inner.train, *inner.val} == set(had(inner))
    assert set(created.seen_rows) == set(inner.val)
    assert set(created.unseen_rows) == {row for row in had(task) if ids[row] in held_out}
    with pytest.raises(SelectionError):
        inner.features[created.unseen_rows]
    assert len(task.features[created.unseen_rows]) == len(created.unseen_rows)
    seen = inner.seen.tolist()
    assert inner.targets(inner.val).tolist() == [seen.index(ids[row]) for row in inner.val]
    assert inner.pretraining is not None
    assert inner.pretraining.categories == tuple(f"category {i}" for i in (0, 1, 3, 4, 6))
    assert task.pretraining is not None
    np.testing.assert_array_equal(
        inner.pretraining.weight, task.pretraining.weight[[0, 1, 3, 4, 6]]
    )
    np.testing.assert_array_equal(inner.pretraining.bias, task.pretraining.bias[[0, 1, 3, 4, 6]])
    assert len(task.pretraining.categories) == 7


def test_a_class_fold_inside_a_class_fold_closes_the_classes_of_both() -> None:
    task = case(0, 10, 2).task
    outer = class_fold(task, task.seen[:2])
    created = class_fold(outer.task, task.seen[2:4])
    assert created.task.seen.tolist() == task.seen[4:].tolist()
    assert set(task.class_ids[had(created.task)].tolist()) == set(task.seen[4:].tolist())
    assert set(task.class_ids[created.unseen_rows].tolist()) == set(task.seen[2:4].tolist())


def test_a_class_fold_shows_no_image_of_the_classes_held_out() -> None:
    """A copy in another class is closed too; a class that has nothing else makes no whole fold."""
    task = case(0, 12, 2).task
    held_out, other = task.seen[:2], task.seen[2]
    images = np.arange(len(task.class_ids))
    twins = task.train[task.class_ids[task.train] == held_out[0]]
    copies = task.train[task.class_ids[task.train] == other]
    images[copies[:1]] = twins[0]
    shared = replace(task, images=images)
    created = class_fold(shared, held_out)
    assert had(created.task) == sorted(set(had(class_fold(task, held_out).task)) - {copies[0]})
    assert created.is_whole
    assert set(images[created.unseen_rows]) & set(images[had(created.task)]) == set()
    within = class_fold(class_fold(shared, task.seen[3:5]).task, held_out)
    assert set(images[within.unseen_rows]) & set(images[had(within.task)]) == set()
    images[copies] = twins[0]
    assert not class_fold(shared, held_out).is_whole


def test_a_task_without_a_pretraining_has_class_folds_without_one() -> None:
    task = replace(case(0, 10, 2).task, pretraining=None)
    assert class_fold(task, task.seen[:2], {"category 1"}).task.pretraining is None
    whole = case(0, 10, 2).task
    left = {f"category {i}" for i in range(6)}  # one category says nothing of any image
    assert class_fold(whole, whole.seen[:2], left).task.pretraining is None


# Planted in the real run


@pytest.mark.parametrize("name", ["peek_at_unseen", "peek_at_test", "peek_in_fold"])
def test_a_method_that_looks_at_closed_rows_stops_the_run(
    composed: Callable[..., DictConfig], tmp_path: Path, name: str
) -> None:
    config = composed(
        "subset.limit_per_class=4", "subset.min_images=85", "split=random", "split.n_unseen=3",
        "word_vectors=random", "projection=linear", "trainer.max_epochs=1", "logger=none",
        "report=none",
        "method=none", "prior=none", "class_folds=2",
        f"+method.{name}._target_=helpers.peeking.{name}",
        f"+method.{name}._partial_=true",
    )  # fmt: skip
    with pytest.raises(SelectionError, match="before the final evaluation"):
        run.train(config, tmp_path / "run")
    assert (tmp_path / "run" / "UNFINISHED").is_file()
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert not list((tmp_path / "run").rglob("embeddings/*"))
