"""How a run trains its projection and its network: the parts of its config and plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from devise_exp.pipelines.settings import TrainingSettings, TuningSettings, read_settings
from devise_exp.training.loop import Loss, TrainSettings

# The options of a trainer, beside those followed, under which the plain loop does the same.
_PLAIN = {"accelerator": "cpu", "precision": "32-true"}
_FOLLOWED = {  # a training of its own has one device
    "_target_", "_partial_", "devices", "num_nodes", "strategy", "max_epochs", "gradient_clip_val",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """What a training needs beside its rows. Each `new_...` builds its part anew from the config.

    Attributes:
        seed: Of weights, order of batches, dropout and random violators.
        is_plain: Whether the plain loop does all that the trainer would, on one device.
        max_epochs: Of the first stage.
        clip: The norm that gradients are cut at; None: not at all.
        training: Batches and patience of the first stage.
        tuning: The second stage.
        new_loss: Gives the loss.
        new_optimizer: Gives the optimizer's constructor, of parameter groups.
        new_scheduler: Gives the scheduler's constructor, of an optimizer, or None.
        new_trainer: Gives the constructor of the Lightning trainer.
        projection: Gives the projection's constructor, of feature_dim and dim.
    """

    seed: int
    is_plain: bool
    max_epochs: int
    clip: float | None
    training: TrainingSettings
    tuning: TuningSettings
    new_loss: Callable[[], Loss]
    new_optimizer: Callable[[], Callable[..., torch.optim.Optimizer]]
    new_scheduler: Callable[[], Callable[..., Any] | None]
    new_trainer: Callable[[], Callable[..., Any]]
    projection: Callable[[], Callable[[int, int], nn.Module]]

    def new_projection(self, feature_dim: int, dim: int) -> nn.Module:
        """Build a projection whose weights the seed decides.

        Args:
            feature_dim: Of the features.
            dim: Of the class vectors.

        Returns:
            A module (B, feature_dim) -> (B, dim).
        """
        torch.manual_seed(self.seed)
        return self.projection()(feature_dim, dim)

    def plain_settings(self) -> TrainSettings:
        """Give the recipe to the plain loop.

        Returns:
            The settings, with loss, optimizer and scheduler built anew.
        """
        return TrainSettings(
            loss=self.new_loss(),
            optimizer=self.new_optimizer(),
            scheduler=self.new_scheduler(),
            epochs=self.max_epochs,
            batch_size=self.training.batch_size,
            patience=self.training.patience,
            gradient_clip=self.clip,
        )


def recipe_of(config: DictConfig) -> Recipe:
    """Read the recipe of a config.

    Args:
        config: Of train.py.

    Returns:
        The recipe; nothing of it is built yet.

    Raises:
        InputError: If a plain option has a value that it cannot take.
    """
    settings = read_settings(config)
    others = {key: value for key, value in config.trainer.items() if key not in _FOLLOWED}
    return Recipe(
        seed=settings.seed,
        is_plain=others == _PLAIN,
        max_epochs=settings.trainer.max_epochs,
        clip=settings.trainer.gradient_clip_val or None,  # 0 is off for Lightning
        training=settings.training,
        tuning=settings.tuning,
        new_loss=partial(instantiate, config.loss),
        new_optimizer=partial(instantiate, config.optimizer),
        new_scheduler=partial(instantiate, config.scheduler),
        new_trainer=partial(instantiate, config.trainer),
        projection=partial(instantiate, config.projection),
    )
