"""Whether a training has learned anything: said above the table, which would not show why."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from devise_exp.methods.task import Task
from devise_exp.pipelines.fit_projection import rows_of
from devise_exp.pipelines.recipe import Recipe
from devise_exp.training.loop import Loss

_ROWS = 4096  # of training, enough for a mean
_MOVED = 0.001  # a loss has moved if it changed by so much of itself
_DEVIATIONS = 2


def learned_nothing(
    recipe: Recipe, task: Task, projection: nn.Module, val_hit_at_1: float
) -> str | None:
    """Compare a trained projection with the untrained one that it was.

    Args:
        recipe: How it was trained.
        task: What it was trained on.
        projection: Trained on `task`.
        val_hit_at_1: Its seen validation hit@1.

    Returns:
        What to say if the loss of the training rows is where it was and hit@1 is at chance; None
        if something was learned.
    """
    n, chance = len(task.val), 1 / len(task.seen)
    deviation = math.sqrt(chance * (1 - chance) / max(n, 1))
    if val_hit_at_1 > chance + _DEVIATIONS * deviation:
        return None
    with torch.random.fork_rng(devices=[]):
        first = _mean_loss(recipe, task, recipe.new_projection(*_widths(task)))
        last = _mean_loss(recipe, task, projection)
    if abs(last - first) > _MOVED * abs(first):
        return None
    return (
        f"learned nothing: the loss of the training images stayed at {first:.4g}, and seen "
        f"validation hit@1 is {100 * val_hit_at_1:.1f} with a chance of {100 * chance:.1f}"
    )


def _widths(task: Task) -> tuple[int, int]:
    return task.features.dim, task.class_vectors.shape[1]


def _mean_loss(recipe: Recipe, task: Task, projection: nn.Module) -> float:
    """The loss of the first training rows, as the network is used after training."""
    loss: Loss = recipe.new_loss()
    vectors: Tensor = torch.from_numpy(task.class_vectors[task.seen])
    train, _ = rows_of(task)
    inputs, targets = train[np.arange(min(len(train), _ROWS))]
    device = next(projection.parameters(), vectors).device
    was_training = projection.training
    with torch.no_grad():
        torch.manual_seed(recipe.seed)  # of a loss that draws violators
        embeddings = projection.eval()(inputs.to(device)).float().cpu()
    projection.train(was_training)
    return float(loss(embeddings, targets, vectors))
