"""From a config to the trained map of a task, nothing of which is kept on disk: what class folds,
methods and the trials of a sweep are made of.
"""

from __future__ import annotations

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from devise_exp.methods.task import Task
from devise_exp.training.batches import FeatureInputs, RowBatches
from devise_exp.training.loop import Report, TrainSettings, train_projection

# What a trainer may say for the plain loop to do the same.
_PLAIN = {"accelerator": "cpu", "precision": "32-true"}
_HEEDED = {  # an own training has one device
    "_target_", "_partial_", "devices", "num_nodes", "strategy", "max_epochs", "gradient_clip_val",
}  # fmt: skip


def is_plain(trainer: DictConfig) -> bool:
    """Whether the plain loop does all that this trainer would, on one device."""
    said = {key: value for key, value in trainer.items() if key not in _HEEDED}
    return said == _PLAIN


def projection_of(config: DictConfig, feature_dim: int, dim: int) -> nn.Module:
    """A new projection (B, feature_dim) -> (B, dim) whose weights the seed decides."""
    torch.manual_seed(config.seed)
    projection: nn.Module = instantiate(config.projection)(feature_dim, dim)
    return projection


def rows_of(task: Task) -> tuple[RowBatches, RowBatches]:
    """Training and validation rows of a task."""
    inputs = FeatureInputs(task.features)
    return (
        RowBatches(inputs, task.train, task.targets(task.train)),
        RowBatches(inputs, task.val, task.targets(task.val)),
    )


def fit_plain(
    config: DictConfig, task: Task, report: Report | None = None
) -> tuple[nn.Module, float]:
    """The projection trained on a task by the config's recipe, and its validation hit@1."""
    vectors = torch.from_numpy(task.class_vectors[task.seen])
    projection = projection_of(config, task.features.dim, vectors.shape[1])
    settings = TrainSettings(
        loss=instantiate(config.loss),
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        epochs=config.trainer.max_epochs,
        batch_size=config.training.batch_size,
        patience=config.training.patience,
        gradient_clip=config.trainer.gradient_clip_val,
    )
    best, _ = train_projection(projection, vectors, settings, *rows_of(task), config.seed, report)
    return projection, best
