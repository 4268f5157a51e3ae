"""LATEM against plain loops: the step of a batch, the scores, and their cosines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.baselines import folds_of, planted, problem, unit

from devise_exp.core.errors import InputError
from devise_exp.methods.baselines import LATEM
from devise_exp.methods.baselines.base import training_rows
from devise_exp.methods.baselines.latem import _descend, step
from devise_exp.methods.selection import calibrate


def slow_step(
    maps: np.ndarray, x: np.ndarray, right: np.ndarray, wrong: np.ndarray
) -> tuple[np.ndarray, int]:
    """Algorithm 1 of the paper with the maps held, image by image; how many images were wrong."""
    gain, n = np.zeros_like(maps), 0
    for image, y, z in zip(x, right, wrong, strict=True):
        scores = [(float(image @ w @ z), float(image @ w @ y)) for w in maps]
        best_wrong = max(range(len(maps)), key=lambda i: scores[i][0])
        best_right = max(range(len(maps)), key=lambda i: scores[i][1])
        if 1 + scores[best_wrong][0] > scores[best_right][1]:
            n += 1
            if best_wrong == best_right:
                gain[best_wrong] += np.outer(image, y - z)
            else:
                gain[best_wrong] -= np.outer(image, z)
                gain[best_right] += np.outer(image, y)
    return gain, n


def test_a_step_is_that_of_the_paper_in_plain_loops() -> None:
    rng = np.random.default_rng(0)
    maps = 2 * rng.normal(size=(3, 5, 4))
    x, right, wrong = rng.normal(size=(40, 5)), *(unit(rng.normal(size=(40, 4))) for _ in "yz")
    expected, n = slow_step(maps, x, right, wrong)
    assert 0 < n < 40  # some images are right already
    np.testing.assert_allclose(step(maps, x, right, wrong), expected, atol=1e-12)


def test_the_cosine_with_a_class_is_the_best_score_over_the_longest_image() -> None:
    task = planted(noise=0.3)
    method = LATEM(maps=(3,), rates=(10.0,))
    fitted = method.fit(task)
    maps = _descend(training_rows(task), 3, 10.0, task.seed).astype(np.float64)
    rows, p = task.features[task.val], problem(task)
    cosines = fitted.embed(rows) @ fitted.class_vectors.T
    for image, result in zip(unit(rows) - p.centre, cosines, strict=True):
        longest = max(float(np.linalg.norm(image @ w)) for w in maps)
        scores = [max(float(image @ w @ s) for w in maps) for s in task.class_vectors]
        expected = np.array(scores) / longest / len(scores) ** 0.5
        np.testing.assert_allclose(result, expected, atol=1e-4)


def test_of_a_class_fold_only_its_labels_count_and_gamma_has_the_scale_of_the_task() -> None:
    task, method = planted(), LATEM(maps=(2,), rates=(30.0,))
    fold = folds_of(task)[0]
    spoilt = task.class_vectors.copy()
    spoilt[task.unseen] = spoilt[task.unseen][:, ::-1]
    first, second = (
        method.fit(replace(fold.task, class_vectors=v)) for v in (task.class_vectors, spoilt)
    )
    rows = task.features[fold.seen_rows]
    np.testing.assert_array_equal(first.embed(rows), second.embed(rows))
    assert not first.class_vectors[task.unseen].any()
    gamma = calibrate(method, task, folds_of(task)).gamma
    assert gamma is not None
    assert 0 < gamma < 1 / len(task.class_vectors) ** 0.5


@pytest.mark.parametrize("maps", [(), (0,), (1.5,)], ids=str)
def test_wrong_numbers_of_maps_are_refused(maps: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="give whole numbers from 1 on"):
        LATEM(maps=maps)
