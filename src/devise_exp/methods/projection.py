"""Projections: a backbone's features into the space of word vectors.

Configure one as

    projection:
      _target_: devise_exp.methods.projection.mlp
      _partial_: true
      hidden: 1000

A projection of your own takes feature_dim and dim; it returns a module for rows of these widths.
"""

from __future__ import annotations

from torch import nn

from devise_exp.core.errors import InputError


def linear(feature_dim: int, dim: int) -> nn.Module:
    """Build the paper's linear map M (Frome et al. 2013, section 3.2).

    Args:
        feature_dim: Width of the backbone's features.
        dim: Width of the word vectors.

    Returns:
        A module (B, feature_dim) -> (B, dim).
    """
    return nn.Linear(feature_dim, dim)


def mlp(
    feature_dim: int, dim: int, hidden: int = 1000, dropout: float = 0.0, norm: str = "none"
) -> nn.Module:
    """Build a projection with one hidden ReLU layer.

    Args:
        feature_dim: Width of the backbone's features.
        dim: Width of the word vectors.
        hidden: Width of the hidden layer.
        dropout: Share of hidden units that are dropped in training.
        norm: "batch" for batch norm after each of the two layers, or "none".

    Returns:
        A module (B, feature_dim) -> (B, dim).

    Raises:
        InputError: norm is another word.
    """
    if norm not in ("none", "batch"):
        raise InputError(f"projection.norm={norm}: choose none or batch")
    first, second = nn.Linear(feature_dim, hidden), nn.Linear(hidden, dim)
    layers = [first, nn.ReLU(), nn.Dropout(dropout), second]
    if norm == "batch":
        layers = [first, nn.BatchNorm1d(hidden), *layers[1:], nn.BatchNorm1d(dim)]
    return nn.Sequential(*layers)
