"""Projections: shapes, and the functions they are."""

from __future__ import annotations

import pytest
import torch

from devise_exp.core.errors import InputError
from devise_exp.methods import projection


def test_linear_is_one_matrix_and_a_bias() -> None:
    layer = projection.linear(5, 3)
    features = torch.randn(7, 5)
    assert layer(features).shape == (7, 3)
    assert sum(p.numel() for p in layer.parameters()) == 5 * 3 + 3
    zero = layer(torch.zeros(1, 5))
    torch.testing.assert_close(
        layer(2 * features[:1]) - zero, 2 * (layer(features[:1]) - zero), atol=1e-5, rtol=0
    )


def test_mlp_has_one_hidden_relu_layer() -> None:
    network = projection.mlp(5, 3, hidden=11)
    features = torch.randn(7, 5)
    first, second = (m for m in network.modules() if isinstance(m, torch.nn.Linear))
    assert (first.weight.shape, second.weight.shape) == ((11, 5), (3, 11))
    by_hand = (features @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias
    torch.testing.assert_close(network(features), by_hand)


def test_dropout_works_in_training_only() -> None:
    torch.manual_seed(0)
    network = projection.mlp(5, 3, hidden=50, dropout=0.5)
    features = torch.randn(2, 5)
    assert not torch.equal(network(features), network(features))
    network.eval()
    assert torch.equal(network(features), network(features))


def test_batch_norm_follows_both_layers() -> None:
    torch.manual_seed(0)
    network = projection.mlp(5, 3, hidden=11, norm="batch")
    features = torch.randn(64, 5) * 7 + 3
    out = network(features)  # over the batch, each dimension has mean 0 and variance 1
    torch.testing.assert_close(out.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim=0, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)
    first, first_norm, second, second_norm = (
        m for m in network.modules() if isinstance(m, torch.nn.Linear | torch.nn.BatchNorm1d)
    )
    network.eval()  # from here on by the running statistics, each row for itself
    by_hand = second_norm(second(first_norm(first(features)).clamp(min=0)))
    torch.testing.assert_close(network(features), by_hand)
    torch.testing.assert_close(network(features[:1]), by_hand[:1])
    with pytest.raises(InputError, match=r"projection\.norm=layer: choose none or batch"):
        projection.mlp(5, 3, norm="layer")


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_the_options_build_it(name: str, composed) -> None:
    from hydra.utils import instantiate

    network = instantiate(composed(f"projection={name}").projection)(6, 4)
    assert network(torch.zeros(2, 6)).shape == (2, 4)
