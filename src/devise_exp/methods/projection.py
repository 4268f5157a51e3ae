"""Projections: a backbone's feature into the space of word vectors."""

from __future__ import annotations

from torch import nn

from devise_exp.core.errors import InputError


def linear(feature_dim: int, dim: int) -> nn.Module:
    """The paper's map M (Frome et al. 2013, section 3.2): (B, feature_dim) -> (B, dim)."""
    return nn.Linear(feature_dim, dim)


def mlp(
    feature_dim: int, dim: int, hidden: int = 1000, dropout: float = 0.0, norm: str = "none"
) -> nn.Module:
    """One hidden ReLU layer: (B, feature_dim) -> (B, hidden) -> (B, dim).

    norm "batch" normalises what each of the two layers gives over the batch; "none" does not.
    """
    if norm not in ("none", "batch"):
        raise InputError(f"projection.norm={norm}: choose none or batch")
    first, second = nn.Linear(feature_dim, hidden), nn.Linear(hidden, dim)
    if norm == "none":
        return nn.Sequential(first, nn.ReLU(), nn.Dropout(dropout), second)
    return nn.Sequential(
        first, nn.BatchNorm1d(hidden), nn.ReLU(), nn.Dropout(dropout), second, nn.BatchNorm1d(dim)
    )
