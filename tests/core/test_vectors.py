"""Directions from the centre of the trained space, and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from devise_exp.core.vectors import centre_of, centre_rows, uncentre_rows


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


@given(st.integers(0, 999), st.integers(1, 6), st.integers(2, 30))
def test_an_image_comes_back_from_its_direction(seed: int, n: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, images = unit(rng.normal(size=(8, dim))), unit(rng.normal(size=(n, dim)))
    centre = centre_of(vectors, np.arange(5))
    np.testing.assert_allclose(centre, sum(vectors[:5]) / 5)
    directions = centre_rows(images, centre)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(uncentre_rows(directions, centre), images, atol=1e-5)


def test_what_all_classes_share_no_longer_ranks_images() -> None:
    """A hub lies near the centre, so by plain cosine it is nearer to the word than its image."""
    classes = unit(np.array([[1.0, 0.5, 0], [1, -0.5, 0]]))
    image, hub = unit(np.array([[0.4, 0.5, 0.4], [1, 0.0, 0.01]]))
    word = classes[0]
    assert word @ image < word @ hub
    asked, *centred = centre_rows(np.stack([word, image, hub]), centre_of(classes, np.arange(2)))
    assert asked @ centred[0] > asked @ centred[1]


def test_the_only_seen_class_keeps_its_direction() -> None:
    one = unit(np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(centre_rows(one, centre_of(one, np.array([0]))), one)
