"""Every baseline on the smallest data that a run takes, and on class vectors of odd widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.baselines import ALL, planted, unit

from devise_exp.methods.baselines import CVAE, ClassNorm
from devise_exp.methods.selection import fit_method
from devise_exp.methods.task import Task, class_fold


def one_image_each(task: Task, n_seen: int) -> Task:
    """As many seen classes, an image of each to learn from and one to choose by."""
    seen = task.seen[:n_seen]
    rows = {
        part: np.array([part_rows[task.class_ids[part_rows] == c][0] for c in seen])
        for part, part_rows in (("train", task.train), ("val", task.val))
    }
    return replace(task, seen=seen, **rows)


def with_vectors(task: Task, dim: int, attributes: bool = False) -> Task:
    """Other class vectors: in two dimensions, or many attributes, none of them negative."""
    rng = np.random.default_rng(5)
    n = len(task.class_vectors)
    rows = rng.random((n, dim)) * (rng.random((n, dim)) < 0.3) if attributes else None
    vectors = unit(rng.normal(size=(n, dim)) if rows is None else rows).astype(np.float32)
    known = task.pretraining
    assert known is not None
    words = unit(rng.normal(size=(len(known.vectors), dim))).astype(np.float32)
    return replace(task, class_vectors=vectors, pretraining=replace(known, vectors=words))


TASKS = {
    "two seen classes, an image each": lambda: one_image_each(planted(), 2),
    "five seen classes, an image each": lambda: one_image_each(planted(), 5),
    "two dimensions": lambda: with_vectors(planted(), 2),
    "312 attributes": lambda: with_vectors(one_image_each(planted(), 12), 312, attributes=True),
}


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", [name for name in ALL if not ALL[name].needs_texts])
def test_images_and_classes_stay_finite_unit_rows(name: str, kind: str) -> None:
    task = TASKS[kind]()
    folds = [class_fold(task, task.seen[:2])] if len(task.seen) > 4 else []
    method = ALL[name]
    if isinstance(method, ClassNorm | CVAE):
        method = replace(method, steps=10)
    fitted = fit_method(method, task, folds)
    images = fitted.embed(task.features[task.val])
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    lengths = np.linalg.norm(fitted.class_vectors, axis=1)
    np.testing.assert_allclose(lengths[task.seen], 1, atol=1e-5)
    if ALL[name].names_unseen:
        np.testing.assert_allclose(lengths[task.unseen], 1, atol=1e-5)
