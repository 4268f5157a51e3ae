"""Training of a map on features by a plain loop: the very weights that Lightning would reach
(training.fit), without its start-up, its memory and its checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.training.batches import RowBatches, SeededBatchSampler, epoch_seed, in_order

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Report = Callable[[int, float], None]  # of an epoch and its validation hit@1


@dataclass(frozen=True)
class TrainSettings:
    """How a map is trained, apart from its rows. clip: the norm that gradients are cut at, None
    for not at all.
    """

    loss: Loss
    optimizer: Callable[..., torch.optim.Optimizer]
    scheduler: Callable[..., Any] | None
    epochs: int
    batch_size: int
    patience: int | None = None
    clip: float | None = None


def train_projection(
    projection: nn.Module,
    class_vectors: Tensor,
    recipe: TrainSettings,
    train: RowBatches,
    val: RowBatches,
    seed: int,
    report: Report | None = None,
) -> tuple[float, int]:
    """Train `projection` in place, to end as its best epoch, the first of equals; returns the
    validation hit@1 of that epoch and its number.

    class_vectors: (S, D) unit rows of the seen classes; rows have features (B, feature_dim) and
    targets, rows of class_vectors. What `report` raises ends the training. InputError where the
    loss is no longer finite.
    """
    optimizer = recipe.optimizer([{"params": list(projection.parameters())}])
    scheduler = recipe.scheduler(optimizer) if recipe.scheduler else None
    order = SeededBatchSampler(len(train), recipe.batch_size, seed)
    best, best_epoch, weights = -1.0, -1, projection.state_dict()
    for epoch in range(recipe.epochs):
        torch.manual_seed(epoch_seed(seed, epoch))  # dropout, random violators
        order.set_epoch(epoch)
        projection.train()
        for batch in order:
            inputs, targets = train[batch]
            loss = recipe.loss(projection(inputs), targets, class_vectors)
            check_finite(loss, "in a training without checkpoints")
            optimizer.zero_grad()
            loss.backward()
            if recipe.clip is not None:
                nn.utils.clip_grad_norm_(projection.parameters(), recipe.clip)
            optimizer.step()
        score = hit_at_1(projection, class_vectors, val)
        if scheduler is not None:
            scheduler.step()
        if score > best:
            best, best_epoch = score, epoch
            weights = {name: value.clone() for name, value in projection.state_dict().items()}
        if report is not None:
            report(epoch, score)
        if recipe.patience is not None and epoch - best_epoch >= recipe.patience:
            break
    projection.load_state_dict(weights)
    projection.train()
    return best, best_epoch


def hit_at_1(projection: nn.Module, class_vectors: Tensor, rows: RowBatches) -> float:
    """The share of rows whose nearest class vector is their own."""
    projection.eval()
    hits = 0
    with torch.no_grad():
        for batch in in_order(len(rows)):
            inputs, targets = rows[batch]
            hits += hits_of(projection(inputs), targets, class_vectors)
    return hits / max(len(rows), 1)


def hits_of(embeddings: Tensor, targets: Tensor, class_vectors: Tensor) -> int:
    """How many embeddings (B, D) are nearest, by cosine, to their own of class_vectors (S, D)."""
    similarity = F.normalize(embeddings) @ class_vectors.T  # (B, S)
    return int((similarity.argmax(dim=1) == targets).sum())


def check_finite(loss: Tensor, where: str) -> None:
    if not torch.isfinite(loss):
        raise InputError(
            f"the loss became {loss.item()} {where}: lower optimizer.lr, or set "
            "trainer.gradient_clip_val=1"
        )
