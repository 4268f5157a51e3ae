"""Controls: softmax against its own weights, ConSE against plain loops, and training by recipe."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from devise_exp import controls
from devise_exp.prepare import Prepared, features_of, prepare

N, FEATURE_DIM, CLASSES = 240, 6, 4


def clusters(noise: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, CLASSES, N)
    centres = 2 * rng.normal(size=(CLASSES, FEATURE_DIM))
    features = centres[targets] + noise * rng.normal(size=(N, FEATURE_DIM))
    return features.astype(np.float16), targets


def test_the_softmax_classifier_learns_and_its_probabilities_are_those_of_its_weights() -> None:
    features, targets = clusters()
    classifier = controls.fit_softmax(features[:160], targets[:160], CLASSES, seed=0, epochs=200)
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
        controls.fit_softmax(features, targets, CLASSES, seed, epochs=1) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(first.weight, second.weight)
    assert not np.array_equal(first.weight, other.weight)


def slow_conse(shares: np.ndarray, vectors: np.ndarray, top: int) -> list[list[float]]:
    rows = []
    for row in shares.tolist():
        smallest = sorted(row, reverse=True)[:top][-1]
        mixed = [0.0] * vectors.shape[1]
        for share, vector in zip(row, vectors.tolist(), strict=True):
            if share >= smallest:  # ties with the last of the top count
                mixed = [m + share * v for m, v in zip(mixed, vector, strict=True)]
        length = math.sqrt(sum(m * m for m in mixed))
        rows.append([m / length for m in mixed])
    return rows


@settings(deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(2, 5),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_conse_is_what_plain_loops_give(
    n: int, classes: int, dim: int, top: int, seed: int, tied: bool
) -> None:
    rng = np.random.default_rng(seed)
    # Small whole numbers: many ties, at the boundary of the top too.
    shares = rng.integers(1, 4, (n, classes)) if tied else rng.random((n, classes)) + 0.01
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    vectors = np.abs(rng.normal(size=(classes, dim))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = controls.conse(shares, vectors, top)
    assert found.shape == (n, dim)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow_conse(shares, vectors, top), atol=1e-5)


def test_conse_by_hand() -> None:
    vectors = np.eye(3, dtype=np.float32)
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=np.float32)
    np.testing.assert_allclose(controls.conse(shares, vectors, 1), [[1, 0, 0], [0, 0, 1]])
    both = controls.conse(shares, vectors, 2)
    np.testing.assert_allclose(both[0], np.array([5, 3, 0]) / math.sqrt(34), rtol=1e-6)
    # The other two are equally probable, so neither is left out.
    np.testing.assert_allclose(both[1], np.array([2, 2, 6]) / math.sqrt(44), rtol=1e-6)
    np.testing.assert_array_equal(
        controls.conse(shares, vectors, 3), controls.conse(shares, vectors, 99)
    )


@pytest.fixture(scope="module")
def prepared(
    picture_tree: Path, composed: Callable[..., DictConfig]
) -> tuple[Prepared, np.ndarray]:
    config = composed(
        "data=image_folder",
        f"data.root={picture_tree}",
        "backbone=resnet18",
        "backbone.weights=null",
        "word_vectors=random",
    )
    parts = prepare(config)
    return parts, features_of(config, parts)


def test_both_controls_of_a_run_name_classes_by_their_ids(
    prepared: tuple[Prepared, np.ndarray],
) -> None:
    parts, features = prepared
    split = parts.split
    classifier = controls.seen_classifier(parts, features, seed=0)
    softmax, conse = controls.softmax_and_conse(parts, features, classifier)
    # One dimension per seen class: the nearest candidate is the most probable class.
    assert not softmax.class_vectors[split.unseen].any()
    assert not len(softmax.unseen)
    ids = split.seen[softmax.seen.argmax(axis=1)]
    np.testing.assert_array_equal((softmax.seen @ softmax.class_vectors.T).argmax(axis=1), ids)
    np.testing.assert_array_equal(softmax.seen_truth, parts.class_ids[split.test])
    assert (ids == softmax.seen_truth).mean() > 2 / len(split.seen)  # twice chance
    # ConSE lives in the space of word vectors and sees the unseen images as well.
    np.testing.assert_array_equal(conse.class_vectors, parts.class_vectors)
    np.testing.assert_allclose(
        conse.seen, controls.conse(softmax.seen, parts.class_vectors[split.seen]), atol=1e-6
    )
    np.testing.assert_array_equal(conse.seen_truth, softmax.seen_truth)
    np.testing.assert_array_equal(conse.unseen_truth, parts.class_ids[split.unseen_rows])
    assert len(conse.unseen) == len(split.unseen_rows)
