"""Losses against plain loops over numbers, by hand, and at their edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.methods import losses
from devise_exp.methods.losses import hinge_rank

Loss = Callable[..., torch.Tensor]
Rows = list[list[float]]
ALL = (
    losses.cosine,
    losses.mse,
    losses.softmax,
    hinge_rank,
    partial(hinge_rank, violators="first"),
)


def drawn(seed: int, batch: int, classes: int, dim: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(classes, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embeddings = rng.normal(size=(batch, dim)) * rng.uniform(0.01, 10, size=(batch, 1))
    targets = rng.integers(0, classes, batch)
    return torch.from_numpy(embeddings), torch.from_numpy(targets), torch.from_numpy(vectors)


def cos(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / (math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b)))


def slow_cosine(embeddings: Rows, targets: list[int], vectors: Rows) -> float:
    return sum(1 - cos(e, vectors[t]) for e, t in zip(embeddings, targets, strict=True)) / len(
        targets
    )


def slow_mse(embeddings: Rows, targets: list[int], vectors: Rows) -> float:
    total = 0.0
    for e, t in zip(embeddings, targets, strict=True):
        for x, y in zip(e, vectors[t], strict=True):
            total += (x - y) ** 2
    return total / len(targets)


def slow_softmax(embeddings: Rows, targets: list[int], vectors: Rows, temperature: float) -> float:
    total = 0.0
    for e, t in zip(embeddings, targets, strict=True):
        powers = [math.exp(cos(e, v) / temperature) for v in vectors]
        total -= math.log(powers[t] / sum(powers))
    return total / len(targets)


def slow_violations(e: list[float], t: int, vectors: Rows, margin: float) -> list[float]:
    """Those above zero, one per false class that violates the margin."""
    all_of_them = [margin - cos(e, vectors[t]) + cos(e, v) for j, v in enumerate(vectors) if j != t]
    return [violation for violation in all_of_them if violation > 0]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 7), st.integers(1, 5))
def test_every_loss_is_what_plain_loops_give(seed: int, batch: int, classes: int, dim: int) -> None:
    given_ = drawn(seed, batch, classes, dim)
    embeddings, targets, vectors = (tensor.tolist() for tensor in given_)
    slow_hinge = sum(
        sum(slow_violations(e, t, vectors, 0.3)) for e, t in zip(embeddings, targets, strict=True)
    )
    for fast, slow in (
        (losses.cosine(*given_), slow_cosine(embeddings, targets, vectors)),
        (losses.mse(*given_), slow_mse(embeddings, targets, vectors)),
        (losses.softmax(*given_, temperature=0.2), slow_softmax(embeddings, targets, vectors, 0.2)),
        (hinge_rank(*given_, margin=0.3), slow_hinge / batch),
    ):
        assert fast.shape == ()
        assert float(fast) == pytest.approx(slow, rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 4))
def test_the_first_violator_is_one_of_them_and_every_one_comes_up(
    seed: int, classes: int, dim: int
) -> None:
    embeddings, targets, vectors = drawn(seed, 1, classes, dim)
    possible = slow_violations(embeddings.tolist()[0], int(targets[0]), vectors.tolist(), 0.4)
    torch.manual_seed(seed)
    many = 60 * classes  # a violator among five is missed by 360 draws with p = 1e-35
    values = {float(hinge_rank(embeddings, targets, vectors, 0.4, "first")) for _ in range(many)}
    for value in values:
        assert min(abs(value - entry) for entry in possible or [0.0]) < 1e-9
    for entry in possible:
        assert min(abs(value - entry) for value in values) < 1e-9


def test_first_violators_are_drawn_for_each_sample_and_averaged() -> None:
    embeddings, targets, vectors = drawn(5, 1, 4, 3)
    possible = slow_violations(embeddings.tolist()[0], int(targets[0]), vectors.tolist(), 2.0)
    many = 30_000
    torch.manual_seed(0)
    mean = hinge_rank(embeddings.expand(many, -1), targets.expand(many), vectors, 2.0, "first")
    assert len(possible) == 3  # a margin of 2 is violated by every false class
    assert float(mean) == pytest.approx(sum(possible) / 3, abs=0.02)


def test_by_hand() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    embeddings = torch.tensor([[3.0, 4.0]])  # cosines .6, .8, -.6
    targets = torch.tensor([0])
    assert float(losses.cosine(embeddings, targets, vectors)) == pytest.approx(0.4)
    assert float(losses.mse(embeddings, targets, vectors)) == pytest.approx(4 + 16)
    # .1 - .6 + .8 for the second class; .1 - .6 - .6 < 0 for the third
    assert float(hinge_rank(embeddings, targets, vectors)) == pytest.approx(0.3)
    assert float(hinge_rank(embeddings, targets, vectors, 1.5)) == pytest.approx(1.7 + 0.3)
    weights = [math.exp(0.6), math.exp(0.8), math.exp(-0.6)]
    assert float(losses.softmax(embeddings, targets, vectors, 1.0)) == pytest.approx(
        -math.log(weights[0] / sum(weights))
    )


def test_a_perfect_embedding_of_any_length_has_no_loss_but_mse() -> None:
    vectors = torch.eye(3)
    targets = torch.tensor([0, 1, 2])
    embeddings = 7 * vectors
    assert float(losses.cosine(embeddings, targets, vectors)) == pytest.approx(0, abs=1e-6)
    for violators in ("all", "first"):
        assert float(hinge_rank(embeddings, targets, vectors, 0.1, violators)) == 0
    assert float(losses.softmax(embeddings, targets, vectors)) < 1e-6
    assert float(losses.mse(embeddings, targets, vectors)) == pytest.approx(36)


@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
def test_loss_and_gradient_are_finite_and_point_downhill(loss: Loss, scale: float) -> None:
    embeddings, targets, vectors = drawn(1, 4, 5, 3)
    embeddings = (embeddings * scale).requires_grad_()
    torch.manual_seed(0)
    value = loss(embeddings, targets, vectors)
    value.backward()
    assert embeddings.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(embeddings.grad).all()
    if scale == 1.0:
        torch.manual_seed(0)
        after = loss(embeddings.detach() - 1e-3 * embeddings.grad, targets, vectors)
        assert after.item() < value.item()


def test_other_violators_are_refused() -> None:
    with pytest.raises(InputError, match=r"loss\.violators=last: choose all or first"):
        hinge_rank(*drawn(0, 2, 3, 2), violators="last")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_margin_or_temperature_that_teaches_nothing_is_refused(value: float) -> None:
    embeddings, targets, vectors = torch.ones(2, 3), torch.tensor([0, 1]), torch.eye(3)
    with pytest.raises(InputError, match=r"loss\.margin=.*above 0"):
        hinge_rank(embeddings, targets, vectors, margin=value)
    with pytest.raises(InputError, match=r"loss\.temperature=.*above 0"):
        losses.softmax(embeddings, targets, vectors, temperature=value)


@pytest.mark.parametrize("name", ["softmax", "hinge_rank", "cosine", "mse"])
def test_draws_side_by_side_have_the_gradients_that_they_have_alone(name: str) -> None:
    """A linear map of three draws learns what three linear maps do."""
    loss = getattr(losses, name)
    torch.manual_seed(0)
    inputs, targets = torch.randn(12, 5), torch.arange(12) % 4
    vectors = [F.normalize(torch.randn(4, 3)) for _ in range(3)]
    weights = [torch.randn(3, 5, requires_grad=True) for _ in range(3)]
    alone = [
        torch.autograd.grad(loss(inputs @ w.T, targets, v), w)[0]
        for w, v in zip(weights, vectors, strict=True)
    ]
    wide = torch.cat([w.detach() for w in weights]).requires_grad_()
    total = losses.of_draws(loss, 3)(inputs @ wide.T, targets, torch.cat(vectors, dim=1))
    (together,) = torch.autograd.grad(total, wide)
    torch.testing.assert_close(together, torch.cat(alone))
