"""The module that a run trains, built from its recipe."""

from __future__ import annotations

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn

from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.recipe import Recipe
from devise_exp.training.module import DeviseModule


def build_module(
    recipe: Recipe, feature_dim: int, seen_vectors: np.ndarray, network: nn.Module | None = None
) -> DeviseModule:
    """Build a new module whose weights the seed decides.

    Args:
        recipe: Its projection, loss, optimizer and scheduler.
        feature_dim: Of the features.
        seen_vectors: (S, D) unit rows, the vectors of the seen classes.
        network: The backbone's, if it is trained too.

    Returns:
        The module.
    """
    pl.seed_everything(recipe.seed, workers=True, verbose=False)
    return DeviseModule(
        projection=recipe.new_projection(feature_dim, seen_vectors.shape[1]),
        loss=recipe.new_loss(),
        class_vectors=torch.from_numpy(seen_vectors),
        optimizer=recipe.new_optimizer(),
        scheduler=recipe.new_scheduler(),
        backbone=network,
        backbone_lr_factor=recipe.tuning.backbone_lr_factor,
    )


def seen_vectors(data: ExperimentData) -> np.ndarray:
    """Take the vectors of the seen classes.

    Args:
        data: Its class vectors are (C, D).

    Returns:
        (S, D) unit rows.
    """
    vectors: np.ndarray = data.class_vectors[data.split.seen]
    return vectors


def untrained(recipe: Recipe, data: ExperimentData) -> DeviseModule:
    """Build a module of the run's shape, to load a checkpoint into.

    Args:
        recipe: Of the run.
        data: Its backbone is part of the module if it is trained.

    Returns:
        The module, with the weights that the seed decides.
    """
    network = None
    if data.backbone.trainable:
        # As for features: faster, and the same bits whether features were extracted before or not.
        network = data.backbone.network.to(memory_format=torch.channels_last)
    return build_module(recipe, data.backbone.feature_dim, seen_vectors(data), network)
