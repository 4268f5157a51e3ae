"""Embedding: unit rows in order, whatever the batches, and the module left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.methods import projection
from devise_exp.methods.embedding import embed


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(1, 50), st.integers(0, 10**6))
def test_rows_are_unit_and_in_order_whatever_the_batches(
    n: int, batch_size: int, seed: int
) -> None:
    torch.manual_seed(seed)
    head = projection.mlp(6, 3, hidden=8, dropout=0.5)
    head.train()
    features = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float16)
    result = embed(head, features, batch_size)
    assert result.shape == (n, 3)
    assert result.dtype == np.float32
    assert head.training
    np.testing.assert_array_equal(result, embed(head, features, batch_size))  # no dropout
    w1, b1, w2, b2 = (p.detach().numpy().astype(float) for p in head.parameters())
    for feature, row in zip(features.astype(float), result, strict=True):
        expected = np.maximum(w1 @ feature + b1, 0) @ w2.T + b2
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=1e-4)


def test_a_bank_on_disk_is_read_and_not_written(tmp_path) -> None:
    path = tmp_path / "bank.npy"
    np.save(path, np.ones((5, 4), dtype=np.float16))
    bank = np.load(path, mmap_mode="r")
    head = projection.linear(4, 2).eval()
    assert embed(head, bank).shape == (5, 2)
    assert not head.training


def test_a_zero_embedding_stays_zero() -> None:
    head = projection.linear(4, 2)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
    assert not embed(head, np.ones((3, 4), dtype=np.float32)).any()


def test_the_length_of_a_feature_matters() -> None:
    with pytest.raises(RuntimeError):
        embed(projection.linear(4, 2), np.ones((3, 5), dtype=np.float32))
