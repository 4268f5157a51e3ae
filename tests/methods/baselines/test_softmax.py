"""The softmax classifier of the seen classes."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace

import numpy as np
import torch
from helpers.baselines import N_SEEN, folds_of, planted, slow_conse, unit

from devise_exp.methods.baselines import ConSE, Softmax
from devise_exp.methods.baselines.softmax import fit_softmax, seen_classifier

N, CLASSES = 240, 4


def clusters(noise: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, CLASSES, N)
    centres = 2 * rng.normal(size=(CLASSES, 6))
    features = centres[targets] + noise * rng.normal(size=(N, 6))
    return features.astype(np.float16), targets


def test_a_classifier_keeps_no_features_alive() -> None:
    task = planted()
    seen_classifier(task)
    features = weakref.ref(task.features.features)
    del task
    gc.collect()
    assert features() is None


def test_softmax_and_conse_share_the_classifier_of_their_task() -> None:
    task = planted(noise=0.05)
    softmax, conse = Softmax().fit(task), ConSE().fit(task)
    classifier = seen_classifier(task)
    assert classifier is seen_classifier(task)
    inner = folds_of(task)[0].task  # one of its own, that knows fewer classes
    assert len(seen_classifier(inner).weight) == len(inner.seen) < len(classifier.weight)
    rows = task.features[task.val]
    shares = classifier.probabilities(rows)
    np.testing.assert_allclose(softmax.embed(rows), unit(shares), atol=1e-6)
    nearest = (softmax.embed(rows) @ softmax.class_vectors.T).argmax(axis=1)
    np.testing.assert_array_equal(nearest, task.seen[shares.argmax(axis=1)])
    assert (nearest == task.class_ids[task.val]).mean() > 0.5 > 10 / N_SEEN
    np.testing.assert_allclose(
        conse.embed(rows), slow_conse(shares, task.class_vectors[task.seen], 10), atol=1e-5
    )
    again = Softmax().fit(replace(task))  # an equal task, trained anew
    np.testing.assert_array_equal(softmax.embed(rows), again.embed(rows))


def test_the_softmax_classifier_learns_and_its_probabilities_are_those_of_its_weights() -> None:
    features, targets = clusters()
    classifier = fit_softmax(features[:160], targets[:160], CLASSES, seed=0, epochs=200)
    shares = classifier.probabilities(features[160:])
    assert shares.shape == (80, CLASSES)
    assert shares.dtype == np.float32
    assert (shares.argmax(axis=1) == targets[160:]).mean() > 0.8 > 2 / CLASSES
    weight, bias = classifier.weight.astype(float), classifier.bias.astype(float)
    for feature, row in zip(features[160:].astype(float), shares, strict=True):
        powers = [math.exp(w @ feature + b) for w, b in zip(weight, bias, strict=True)]
        np.testing.assert_allclose(row, np.array(powers) / sum(powers), atol=1e-5)


def test_the_softmax_classifier_follows_its_seed_and_leaves_the_global_one() -> None:
    features, targets = clusters()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (
        fit_softmax(features, targets, CLASSES, seed, epochs=1) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(first.weight, second.weight)
    assert not np.array_equal(first.weight, other.weight)
