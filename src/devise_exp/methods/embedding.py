"""Features to unit vectors in the spaces that pictures are compared in.

devise: the trained space of word vectors, about its centre, where the prior of the pretraining has
its say too. backbone: the features themselves.
classifier: features times the weights of the most probable seen class, after the softmax baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from devise_exp.core.vectors import centre_rows, normalize_rows
from devise_exp.methods.prior import Prior


@dataclass(frozen=True)
class Classifier:
    """A linear softmax classifier of the S seen classes: weight (S, feature_dim), bias (S,)."""

    weight: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(N, feature_dim) -> (N, S) float32, rows sum to one."""
        logits = torch.from_numpy(features.astype(np.float32) @ self.weight.T + self.bias)
        shares: np.ndarray = logits.softmax(dim=1).numpy()
        return shares


@dataclass(frozen=True, eq=False)
class TrainedProjection:
    """Features (N, feature_dim) to unit vectors (N, D) of the trained space: the projection's,
    moved by the prior where there is one.
    """

    projection: nn.Module
    prior: Prior | None = None

    def __call__(self, features: np.ndarray) -> np.ndarray:
        rows = embed(self.projection, features)
        return rows if self.prior is None else self.prior.apply(rows, features)


def embed(projection: nn.Module, features: np.ndarray, batch_size: int = 4096) -> np.ndarray:
    """(N, feature_dim) -> (N, D) float32, each row of unit length; on the CPU, in row order."""
    was_training = projection.training
    projection.eval().cpu()
    with torch.inference_mode():
        parts = [
            F.normalize(projection(torch.from_numpy(np.array(part, dtype=np.float32)))).numpy()
            for part in np.array_split(features, max(1, -(-len(features) // batch_size)))
        ]
    projection.train(was_training)
    return np.concatenate(parts)


def embed_spaces(
    spaces: tuple[str, ...],
    trained: TrainedProjection,
    centre: np.ndarray,
    classifier: Classifier | None,
    features: np.ndarray,
) -> dict[str, np.ndarray]:
    """features (N, feature_dim) in each of `spaces`: (N, D or feature_dim) float32 unit rows."""
    found: dict[str, np.ndarray] = {}
    for space in spaces:
        if space == "devise":
            found[space] = centre_rows(trained(features), centre)
        elif space == "backbone":
            found[space] = normalize_rows(features)
        elif space == "classifier" and classifier is not None:
            best = classifier.probabilities(features).argmax(axis=1)  # (N,)
            found[space] = normalize_rows(features.astype(np.float32) * classifier.weight[best])
    return found
