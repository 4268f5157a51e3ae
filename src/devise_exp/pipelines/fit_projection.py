"""The projection of a task, trained by the plain loop with nothing kept on disk.

Class folds, methods and the trials of a sweep train by it.
"""

from __future__ import annotations

import torch
from torch import nn

from devise_exp.methods.task import Task
from devise_exp.pipelines.recipe import Recipe
from devise_exp.training.batches import FeatureInputs, RowBatches
from devise_exp.training.loop import Report, train_projection


def rows_of(task: Task) -> tuple[RowBatches, RowBatches]:
    """The rows that a projection learns from.

    Args:
        task: Its features are (N, feature_dim).

    Returns:
        Training and validation rows of the task, with their targets among its seen classes.
    """
    inputs = FeatureInputs(task.features)
    return (
        RowBatches(inputs, task.train, task.targets(task.train)),
        RowBatches(inputs, task.val, task.targets(task.val)),
    )


def fit_plain(recipe: Recipe, task: Task, report: Report | None = None) -> tuple[nn.Module, float]:
    """Train a projection on a task.

    Args:
        recipe: How to train.
        task: What to train on.
        report: Called with each epoch and its validation hit@1.

    Returns:
        The projection at its best epoch, and its validation hit@1.
    """
    vectors = torch.from_numpy(task.class_vectors[task.seen])
    projection = recipe.new_projection(task.features.dim, vectors.shape[1])
    best, _ = train_projection(
        projection, vectors, recipe.plain_settings(), *rows_of(task), recipe.seed, report
    )
    return projection, best
