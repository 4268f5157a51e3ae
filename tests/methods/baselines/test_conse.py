"""ConSE against plain loops and by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.baselines import planted, slow_conse
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.methods import prior
from devise_exp.methods.baselines import ConSEPretraining
from devise_exp.methods.prior import PretrainedClassifier


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
    result = prior.conse(shares, vectors, top)
    assert result.shape == (n, dim)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, slow_conse(shares, vectors, top), atol=1e-5)


def test_conse_by_hand() -> None:
    vectors = np.eye(3, dtype=np.float32)
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=np.float32)
    one = prior.conse(shares, vectors, 1)
    np.testing.assert_allclose(one, [[1, 0, 0], [0, 0, 1]])
    both = prior.conse(shares, vectors, 2)
    np.testing.assert_allclose(both[0], np.array([5, 3, 0]) / math.sqrt(34), rtol=1e-6)
    # The other two are equally probable, so neither is left out.
    np.testing.assert_allclose(both[1], np.array([2, 2, 6]) / math.sqrt(44), rtol=1e-6)
    np.testing.assert_array_equal(
        prior.conse(shares, vectors, 3),
        prior.conse(shares, vectors, 99),
    )


def test_conse_on_pretraining_classes_by_hand() -> None:
    # Ten of twelve classes are mixed; the logits of the feature (1, 0) are ln 12, ln 11 ... ln 1.
    known = PretrainedClassifier(
        tuple("abcdefghijkl"),
        np.array([[math.log(12 - i), i] for i in range(12)], dtype=np.float32),
        np.zeros(12, dtype=np.float32),
        np.eye(12, dtype=np.float32),
    )
    task = replace(planted(), pretraining=known)
    fitted = ConSEPretraining().fit(task)
    weights = np.array([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 0, 0])
    result = fitted.embed(np.array([[1, 0]]))
    np.testing.assert_allclose(result, [weights / math.hypot(*weights)], rtol=1e-5)
    np.testing.assert_array_equal(fitted.class_vectors, task.class_vectors)
    with pytest.raises(InputError, match="leave this method out"):
        ConSEPretraining().fit(replace(task, pretraining=None))
