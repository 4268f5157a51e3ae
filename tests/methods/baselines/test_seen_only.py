"""The baselines that name seen classes only, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from devise_exp.methods.baselines import Majority, Prototypes
from devise_exp.methods.task import GuardedFeatures, Task


def test_majority_ranks_classes_by_their_training_rows() -> None:
    ids = np.array([2, 2, 2, 0, 4, 4, 1, 1, 1, 1])
    features = GuardedFeatures(np.ones((10, 3), dtype=np.float32), ids != 1)
    task = Task(
        features=features,
        class_ids=ids,
        class_vectors=np.eye(5, dtype=np.float32),
        seen=np.array([0, 2, 4]),
        unseen=np.array([1, 3]),
        train=np.array([0, 1, 3, 4, 5, 2]),
        val=np.array([], dtype=np.int64),
        seed=0,
    )
    fitted = Majority().fit(task)
    cosines = fitted.embed(np.zeros((2, 3))) @ fitted.class_vectors.T
    np.testing.assert_allclose(cosines, [[1 / 3, 0, 1, 0, 2 / 3]] * 2, rtol=1e-6)
    with_ties = Majority().fit(replace(task, train=np.array([3, 2, 4, 5])))
    np.testing.assert_allclose((with_ties.class_vectors @ [1, 0])[[0, 2, 4]], [0.5, 0.5, 1])


def test_prototypes_are_means_of_unit_features() -> None:
    features = np.array([[3, 4], [0, 2], [10, 0], [9, 9]], dtype=np.float32)
    ids = np.array([2, 2, 0, 1])
    task = Task(
        features=GuardedFeatures(features, ids != 1),
        class_ids=ids,
        class_vectors=np.eye(3, dtype=np.float32),
        seen=np.array([0, 2]),
        unseen=np.array([1]),
        train=np.array([0, 1, 2]),
        val=np.array([], dtype=np.int64),
        seed=0,
    )
    fitted = Prototypes().fit(task)
    mean = np.array([0.6 + 0, 0.8 + 1]) / 2  # each image weighs alike, however long its feature
    expected = [[1, 0], [0, 0], mean / math.hypot(*mean)]
    np.testing.assert_allclose(fitted.class_vectors, expected, rtol=1e-6)
    np.testing.assert_allclose(fitted.embed(features[:1]), [[0.6, 0.8]], rtol=1e-6)
