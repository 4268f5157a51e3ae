"""What every baseline has in common, on planted data and behind the guard of a task."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cloudpickle
import numpy as np
import pytest
from helpers.baselines import (
    ALL,
    CHOOSING,
    LEARNING,
    N_UNSEEN,
    folds_of,
    planted,
    slow_conse,
    unit,
    unseen_hit,
)

from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import random_split
from devise_exp.methods import baselines
from devise_exp.methods.baselines import ConSE, Prototypes, RidgeToFeatures, Softmax
from devise_exp.methods.baselines.softmax import seen_classifier
from devise_exp.methods.method import FittedMethod, Hyperparameters, Method
from devise_exp.methods.selection import choose_hyperparameters, fit_method
from devise_exp.methods.task import SelectionError, Task, class_fold, make_task


def test_every_baseline_is_under_these_tests() -> None:
    exported = {getattr(baselines, name) for name in baselines.__all__}
    # Those that need the run's own training, and an addition to the trained model.
    other = {
        baselines.DeviseWith, baselines.DeviseWithoutPrior, baselines.RandomVectors,
        baselines.ClassifierShares,
    }  # fmt: skip
    assert {type(method) for method in ALL.values()} == exported - other


@pytest.mark.parametrize("name", ALL)
def test_images_and_classes_are_unit_rows_of_one_space(name: str) -> None:
    task = planted()
    fitted = fit_method(ALL[name], task, folds_of(task))
    images = fitted.embed(task.features[task.val].astype(np.float16))
    assert images.dtype == fitted.class_vectors.dtype == np.float32
    assert images.shape == (len(task.val), fitted.class_vectors.shape[1])
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    lengths = np.linalg.norm(fitted.class_vectors, axis=1)
    np.testing.assert_allclose(lengths[task.seen], 1, atol=1e-5)
    np.testing.assert_allclose(lengths[task.unseen], float(ALL[name].names_unseen), atol=1e-5)
    assert fitted.embed(task.features[task.val[:0]]).shape == (0, images.shape[1])


@pytest.mark.parametrize("name", ALL)
def test_a_fitted_method_can_be_handed_to_another_process(name: str) -> None:
    task = planted()
    fitted = ALL[name].fit(task)
    handed = pickle.loads(cloudpickle.dumps(fitted))
    rows = task.features[task.val]
    np.testing.assert_array_equal(handed.embed(rows), fitted.embed(rows))
    np.testing.assert_array_equal(handed.class_vectors, fitted.class_vectors)


@pytest.mark.parametrize("name", ALL)
def test_no_method_depends_on_closed_rows_or_their_classes(name: str) -> None:
    task = planted()
    closed = ~task.features.open
    spoilt_features, spoilt_ids = task.features.features.copy(), task.class_ids.copy()
    spoilt_features[closed] = np.nan
    spoilt_ids[closed] = np.roll(spoilt_ids[closed], 3)
    spoilt = replace(
        task, features=replace(task.features, features=spoilt_features), class_ids=spoilt_ids
    )
    first, second = (fit_method(ALL[name], item, folds_of(item)) for item in (task, spoilt))
    assert first.hyperparameters == second.hyperparameters
    np.testing.assert_array_equal(first.class_vectors, second.class_vectors)
    rows = task.features[task.val]
    np.testing.assert_array_equal(first.embed(rows), second.embed(rows))


def test_a_method_that_looks_at_unseen_rows_is_stopped() -> None:
    task = planted()

    @dataclass(frozen=True, kw_only=True)
    class Peeking(Method):
        values: tuple[float, ...] = (1.0,)

        @property
        def param_grid(self) -> dict[str, Sequence[float]]:
            return {"weight": self.values}

        def _fit(self, task: Task, hyperparameters: Hyperparameters) -> FittedMethod:
            rows = np.flatnonzero(np.isin(task.class_ids, task.unseen))
            task.features[np.concatenate([task.train, rows])]
            return Prototypes().fit(task)

    with pytest.raises(SelectionError, match="before the final evaluation"):
        Peeking().fit(task)
    with pytest.raises(SelectionError):  # held-out classes of a class fold are closed as well
        Peeking().fit(folds_of(task)[0].task)
    with pytest.raises(SelectionError):
        fit_method(Peeking(), task, folds_of(task))
    with pytest.raises(SelectionError):
        choose_hyperparameters(Peeking(values=(1.0, 2.0)), task, folds_of(task))
    is_unseen = np.flatnonzero(np.isin(task.class_ids, task.unseen))
    forged = replace(folds_of(task)[0], unseen_rows=is_unseen)
    with pytest.raises(SelectionError):  # nor can a choice be made by truly unseen rows
        fit_method(RidgeToFeatures(), task, [forged])


@pytest.mark.parametrize("name", LEARNING)
def test_a_planted_linear_relation_is_learned_and_shuffled_labels_destroy_it(name: str) -> None:
    task = planted()
    right = unseen_hit(fit_method(LEARNING[name], task, folds_of(task)), task)
    ids, opened = task.class_ids.copy(), np.flatnonzero(task.features.open)
    ids[opened] = np.random.default_rng(0).permutation(ids[opened])
    lost = replace(task, class_ids=ids)
    shuffled = unseen_hit(fit_method(LEARNING[name], lost, folds_of(lost)), task)
    assert right > 0.6 > 4 / N_UNSEEN
    assert shuffled < 0.3


@pytest.mark.parametrize("name", CHOOSING)
def test_without_a_class_fold_every_hyperparameter_is_the_middle_of_its_grid(name: str) -> None:
    task = planted()
    fitted = fit_method(ALL[name], task, [])
    assert fitted.hyperparameters
    grid = ALL[name].param_grid
    middle = {key: sorted(values)[len(values) // 2] for key, values in grid.items()}
    assert fitted.hyperparameters == middle
    again = ALL[name].fit(task, fitted.hyperparameters)
    rows = task.features[task.val]
    np.testing.assert_array_equal(fitted.embed(rows), again.embed(rows))


def test_methods_take_the_task_of_a_split() -> None:
    names = [f"class {c}" for c in range(12)]
    ids = np.repeat(np.arange(12), 9)
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(12, 5))).astype(np.float32)
    features = vectors[ids] @ rng.normal(size=(5, 9)) + 0.1 * rng.normal(size=(len(ids), 9))
    rows = LabelledRows(classes=names, labels=ids, rows=[f"{i}.png" for i in range(len(ids))])
    split = random_split(rows, n_unseen=4)
    task = make_task(split, ids, vectors, features.astype(np.float32), seed=0)
    classifier = seen_classifier(task)
    softmax, conse = Softmax().fit(task), ConSE().fit(task)
    # One dimension per seen class: the nearest candidate is the most probable class.
    assert not softmax.class_vectors[split.unseen].any()
    test = softmax.embed(features[split.test])
    result = split.seen[test.argmax(axis=1)]
    np.testing.assert_array_equal((test @ softmax.class_vectors.T).argmax(axis=1), result)
    assert (result == ids[split.test]).mean() > 2 / len(split.seen)  # twice chance
    # ConSE lives in the space of word vectors and sees the unseen images as well.
    np.testing.assert_array_equal(conse.class_vectors, vectors)
    shares = classifier.probabilities(features[split.unseen_rows])
    np.testing.assert_allclose(
        conse.embed(features[split.unseen_rows]),
        slow_conse(shares, vectors[split.seen], 10),
        atol=1e-5,
    )
    folds = [class_fold(task, split.seen[:3])]
    for name in CHOOSING:
        fitted = fit_method(ALL[name], task, folds)
        assert fitted.embed(features[split.test]).shape[1] == fitted.class_vectors.shape[1]
        assert 0 <= fitted.hyperparameters["rehearsal/AUSUC"] <= 1
        assert unseen_hit(fitted, task) > 1 / len(split.unseen)
