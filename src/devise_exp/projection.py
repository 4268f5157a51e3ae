"""Projections: a backbone's feature into the space of word vectors."""

from __future__ import annotations

from torch import nn


def linear(feature_dim: int, dim: int) -> nn.Module:
    """The paper's map M (Frome et al. 2013, section 3.2): (B, feature_dim) -> (B, dim)."""
    return nn.Linear(feature_dim, dim)


def mlp(feature_dim: int, dim: int, hidden: int = 2000, dropout: float = 0.0) -> nn.Module:
    """One hidden ReLU layer: (B, feature_dim) -> (B, hidden) -> (B, dim)."""
    return nn.Sequential(
        nn.Linear(feature_dim, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
    )
