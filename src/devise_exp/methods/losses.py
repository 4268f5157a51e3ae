"""Losses between projected images and the vectors of the seen classes.

All take embeddings (B, D), as the projection gives them, targets (B,), each image's row in
class_vectors, and class_vectors (C, D), unit rows; all return the mean over the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from devise_exp.core.errors import InputError


def cosine(embeddings: Tensor, targets: Tensor, class_vectors: Tensor) -> Tensor:
    """1 - cos(embedding, vector of its class)."""
    return (1 - F.cosine_similarity(embeddings, class_vectors[targets])).mean()


def mse(embeddings: Tensor, targets: Tensor, class_vectors: Tensor) -> Tensor:
    """Squared distance to the vector of its class: the paper's L2 control (Frome et al. 2013,
    section 3.2).
    """
    return (embeddings - class_vectors[targets]).square().sum(dim=1).mean()


def softmax(
    embeddings: Tensor, targets: Tensor, class_vectors: Tensor, temperature: float = 0.05
) -> Tensor:
    """Cross entropy over the seen classes, with cosine / temperature as logits."""
    if not temperature > 0:
        raise InputError(f"loss.temperature={temperature}: give a number above 0")
    similarity = F.normalize(embeddings) @ class_vectors.T  # (B, C)
    return F.cross_entropy(similarity / temperature, targets)


def hinge_rank(
    embeddings: Tensor,
    targets: Tensor,
    class_vectors: Tensor,
    margin: float = 0.1,
    violators: str = "all",
) -> Tensor:
    """Hinge rank loss (Frome et al. 2013, equation 1), with cosine as the similarity.

    sum over false classes j of max(0, margin - cos(e, t_label) + cos(e, t_j)). violators="first"
    is the paper's shortcut: false classes are visited in random order and only the first that
    violates the margin counts.
    """
    if not margin > 0:
        raise InputError(f"loss.margin={margin}: give a number above 0")
    if violators not in ("all", "first"):
        raise InputError(f"loss.violators={violators}: choose all or first")
    similarity = F.normalize(embeddings) @ class_vectors.T  # (B, C)
    true = similarity.gather(1, targets[:, None])  # (B, 1)
    violation = (margin - true + similarity).clamp(min=0)
    violation = violation.scatter(1, targets[:, None], 0.0)
    if violators == "first":
        order = torch.rand_like(violation).masked_fill(
            violation <= 0, 2.0
        )  # non-violators come last
        violation = violation.gather(1, order.argmin(dim=1, keepdim=True))
    return violation.sum(dim=1).mean()
