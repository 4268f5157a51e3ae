"""The plain loop: trains a projection on features to the weights that Lightning would reach.

It does without Lightning's start-up, memory and checkpoints, so class folds, methods and the trials
of a sweep train by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.training.batches import (
    RowBatches,
    SeededBatchSampler,
    epoch_seed,
    ordered_batches,
)
from devise_exp.training.best_epoch import BestEpoch

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # embeddings, targets, class vectors -> ()
Report = Callable[[int, float], None]  # of an epoch and its validation hit@1


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a projection is trained, apart from its rows.

    Attributes:
        loss: From embeddings (B, D), targets (B,) and class vectors (S, D) to a scalar.
        optimizer: From parameter groups to an optimizer.
        scheduler: From an optimizer to a scheduler, stepped each epoch; None: a constant rate.
        epochs: The most epochs.
        batch_size: Rows in a batch.
        patience: Epochs without a higher validation hit@1 after which training ends; None: never.
        gradient_clip: Norm at which gradients are clipped; None: they are not.
    """

    loss: Loss
    optimizer: Callable[..., torch.optim.Optimizer]
    scheduler: Callable[..., Any] | None = None
    epochs: int
    batch_size: int
    patience: int | None = None
    gradient_clip: float | None = None


def train_projection(
    projection: nn.Module,
    class_vectors: Tensor,
    settings: TrainSettings,
    train: RowBatches,
    val: RowBatches,
    seed: int,
    report: Report | None = None,
) -> tuple[float, int]:
    """Train a projection in place; it ends as its best epoch, as `BestEpoch` says.

    Args:
        projection: (B, feature_dim) -> (B, D).
        class_vectors: (S, D) unit rows of the seen classes.
        settings: How to train.
        train: Features (B, feature_dim) and targets (B,), rows of `class_vectors`.
        val: Rows to validate on.
        seed: Decides the order of rows and everything random.
        report: Called after every epoch; what it raises ends the training.

    Returns:
        Validation hit@1 and number of the best epoch.

    Raises:
        InputError: The loss is no longer finite.
    """
    best, weights = BestEpoch(n_rows=len(val)), projection.state_dict()
    for epoch in _train_epochs(projection, class_vectors, settings, train, seed):
        score = hit_at_1(projection, class_vectors, val)
        if best.improves(epoch, score):
            weights = {name: value.clone() for name, value in projection.state_dict().items()}
        if report is not None:
            report(epoch, score)
        if best.is_late(epoch, settings.patience):
            break
    projection.load_state_dict(weights)
    projection.train()
    return best.score, best.epoch


def _train_epochs(
    projection: nn.Module,
    class_vectors: Tensor,
    settings: TrainSettings,
    train: RowBatches,
    seed: int,
) -> Iterator[int]:
    """Yield the number of every epoch once it is trained."""
    optimizer = settings.optimizer([{"params": list(projection.parameters())}])
    scheduler = settings.scheduler(optimizer) if settings.scheduler else None
    order = SeededBatchSampler(len(train), settings.batch_size, seed)
    for epoch in range(settings.epochs):
        torch.manual_seed(epoch_seed(seed, epoch))  # dropout, random violators
        order.set_epoch(epoch)
        projection.train()
        for batch in order:
            inputs, targets = train[batch]
            loss = settings.loss(projection(inputs), targets, class_vectors)
            check_finite(loss, "in a training without checkpoints")
            optimizer.zero_grad()
            loss.backward()
            if settings.gradient_clip is not None:
                nn.utils.clip_grad_norm_(projection.parameters(), settings.gradient_clip)
            optimizer.step()
        if scheduler is not None:
            scheduler.step()
        yield epoch


def hit_at_1(projection: nn.Module, class_vectors: Tensor, rows: RowBatches) -> float:
    """Measure the share of rows whose nearest class vector is their own.

    Args:
        projection: (B, feature_dim) -> (B, D); it is left in evaluation mode.
        class_vectors: (S, D) unit rows.
        rows: Features and targets.

    Returns:
        A share in [0, 1].
    """
    projection.eval()
    hits = 0
    with torch.no_grad():
        for batch in ordered_batches(len(rows)):
            inputs, targets = rows[batch]
            hits += count_hits(projection(inputs), targets, class_vectors)
    return hits / max(len(rows), 1)


def count_hits(embeddings: Tensor, targets: Tensor, class_vectors: Tensor) -> int:
    """Count the embeddings whose nearest class vector, by cosine, is their own.

    Args:
        embeddings: (B, D) of any length.
        targets: (B,) rows of `class_vectors`.
        class_vectors: (S, D) unit rows.

    Returns:
        The number of hits.
    """
    similarity = F.normalize(embeddings) @ class_vectors.T  # (B, S)
    return int((similarity.argmax(dim=1) == targets).sum())


def check_finite(loss: Tensor, where: str) -> None:
    """Refuse a loss that is NaN or infinite.

    Args:
        loss: A scalar.
        where: The step, for the message.

    Raises:
        InputError: The loss is not finite.
    """
    if not torch.isfinite(loss):
        raise InputError(
            f"the loss became {loss.item()} {where}: lower optimizer.lr, or set "
            "trainer.gradient_clip_val=1"
        )
