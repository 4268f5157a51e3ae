"""The share of predicted classifiers in a similarity, for any rows and shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.methods import word_classifiers
from devise_exp.methods.word_classifiers import ClassifierShare, WordClassifiers


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def classifiers(seed: int, known: int = 6, dim: int = 4, width: int = 5) -> WordClassifiers:
    rng = np.random.default_rng(seed)
    return WordClassifiers(
        centre=rng.normal(size=dim) / 5,
        vectors=unit(rng.normal(size=(known, dim))),
        coefficients=rng.normal(size=(known, width)).astype(np.float32),
        tau=0.3,
        image_centre=rng.normal(size=width).astype(np.float32),
    )


def slow_cosine(model: WordClassifiers, word: np.ndarray, image: np.ndarray) -> float:
    away = word - model.centre
    away = away / np.linalg.norm(away)
    weights = sum(
        np.exp((float(away @ vector) - 1) / model.tau) * row.astype(np.float64)
        for vector, row in zip(model.vectors, model.coefficients, strict=True)
    )
    features = image - model.image_centre
    return float(features @ weights / np.linalg.norm(features) / np.linalg.norm(weights))


@given(seed=st.integers(0, 10_000), share=st.floats(0.01, 1))
def test_a_cosine_is_the_weighted_mean_of_both(seed: int, share: float) -> None:
    rng, model = np.random.default_rng(seed), classifiers(seed)
    both = ClassifierShare(classifiers=model, share=share)
    rows, words = unit(rng.normal(size=(3, 4))), unit(rng.normal(size=(2, 4)))
    features = rng.normal(size=(3, 5)).astype(np.float32)
    images, labels = both.images(rows, features), both.words(words)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(labels, axis=1), 1, atol=1e-5)
    for i, j in np.ndindex(3, 2):
        mean = (1 - share) * float(rows[i] @ words[j])
        mean += share * slow_cosine(model, words[j], features[i])
        assert float(images[i] @ labels[j]) == pytest.approx(mean, abs=1e-4)


def test_a_word_without_a_vector_stays_without_one() -> None:
    both = ClassifierShare(classifiers=classifiers(0), share=0.5)
    words = unit(np.random.default_rng(1).normal(size=(3, 4)))
    words[1] = 0
    rows = both.words(words)
    assert not rows[1].any()
    np.testing.assert_array_equal(rows[[0, 2]], both.words(words[[0, 2]]))


@pytest.mark.parametrize("n", [0, 1, 6, 7, 8, 15])
def test_words_in_blocks_are_the_words(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = classifiers(3)
    words = unit(np.random.default_rng(2).normal(size=(n, 4))) if n else np.zeros((0, 4))
    whole = model.of_words(words)
    monkeypatch.setattr(word_classifiers, "BLOCK", 7)
    np.testing.assert_allclose(model.of_words(words), whole, atol=1e-6)
    assert whole.shape == (n, 5)
