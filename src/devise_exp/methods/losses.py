"""Losses between projected images and the vectors of the seen classes.

Configure one as

    loss:
      _target_: devise_exp.methods.losses.hinge_rank
      _partial_: true
      margin: 1.0

A loss of your own takes the same three tensors and returns a scalar.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from devise_exp.core.errors import InputError

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # embeddings, targets, class vectors -> ()


def of_draws(loss: Loss, draws: int) -> Loss:
    """Train the class vectors of several random draws side by side.

    Args:
        loss: Of one draw.
        draws: Number of draws; they have equal shares of the width of embeddings and class vectors.

    Returns:
        The sum of the draws' losses: the embeddings of each draw, and so the weights of a linear
        projection, have the gradient that they have alone. Draws share the hidden layer of a
        projection that has one, and `trainer.gradient_clip_val` is the norm of all draws together,
        so that each is clipped sooner than alone.
    """

    def total(embeddings: Tensor, targets: Tensor, class_vectors: Tensor) -> Tensor:
        parts = zip(embeddings.chunk(draws, dim=1), class_vectors.chunk(draws, dim=1), strict=True)
        return torch.stack([loss(rows, targets, vectors) for rows, vectors in parts]).sum()

    return total


def cosine(embeddings: Tensor, targets: Tensor, class_vectors: Tensor) -> Tensor:
    """Take 1 - cos(embedding, vector of its class).

    Args:
        embeddings: (B, D) rows as the projection gives them.
        targets: (B,) row of each image's class in class_vectors.
        class_vectors: (C, D) unit rows of the seen classes.

    Returns:
        Mean over the batch.
    """
    return (1 - F.cosine_similarity(embeddings, class_vectors[targets])).mean()


def mse(embeddings: Tensor, targets: Tensor, class_vectors: Tensor) -> Tensor:
    """Take the squared distance to the vector of its class.

    This is the paper's L2 control (Frome et al. 2013, section 3.2).

    Args:
        embeddings: (B, D) rows as the projection gives them.
        targets: (B,) row of each image's class in class_vectors.
        class_vectors: (C, D) unit rows of the seen classes.

    Returns:
        Mean over the batch.

    Example:
        >>> mse(torch.tensor([[3.0, 0.0]]), torch.tensor([1]), torch.eye(2)).item()
        10.0
    """
    return (embeddings - class_vectors[targets]).square().sum(dim=1).mean()


def softmax(
    embeddings: Tensor, targets: Tensor, class_vectors: Tensor, temperature: float = 0.05
) -> Tensor:
    """Take the cross entropy over the seen classes, with cosine / temperature as logits.

    Args:
        embeddings: (B, D) rows as the projection gives them.
        targets: (B,) row of each image's class in class_vectors.
        class_vectors: (C, D) unit rows of the seen classes.
        temperature: Divides the cosines; small values make the loss strict.

    Returns:
        Mean over the batch.

    Raises:
        InputError: The temperature is not above 0.
    """
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
    """Take the hinge rank loss (Frome et al. 2013, equation 1), with cosine as the similarity.

    sum over false classes j of max(0, margin - cos(e, t_label) + cos(e, t_j))

    Args:
        embeddings: (B, D) rows as the projection gives them.
        targets: (B,) row of each image's class in class_vectors.
        class_vectors: (C, D) unit rows of the seen classes.
        margin: By how much the true class has to be nearer than any false one.
        violators: "all" false classes count, or only the "first" that violates the margin, in
            random order: the paper's shortcut.

    Returns:
        Mean over the batch.

    Raises:
        InputError: The margin is not above 0, or violators is another word.
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
        # Classes that do not violate the margin come last.
        order = torch.rand_like(violation).masked_fill(violation <= 0, 2.0)
        violation = violation.gather(1, order.argmin(dim=1, keepdim=True))
    return violation.sum(dim=1).mean()
