"""How a run trains its projection and its network: the parts of its config and plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from devise_exp.pipelines.settings import Settings, TrainingSettings, TuningSettings, read_settings
from devise_exp.training.batches import SeededBatchSampler
from devise_exp.training.distributed.ranks import processes_per_node
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
        max_epochs: Of the first stage, and of every training of a class fold or a method.
        clip: The norm that gradients are cut at; None: not at all.
        training: Batches and patience of the first stage.
        tuning: The second stage.
        new_loss: Gives the loss.
        new_optimizer: Gives the optimizer's constructor, of parameter groups.
        new_scheduler: Gives the scheduler's constructor, of an optimizer, or None.
        new_trainer: Gives the constructor of the Lightning trainer of the first stage.
        projection: Gives the projection's constructor, of feature_dim and dim.
        new_callbacks: Gives a user's callbacks, for the run's own projection and network.
        without: The callbacks of this project that are left out there.
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
    new_callbacks: Callable[[], tuple[Any, ...]]
    without: frozenset[str]

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


def recipe_of(config: DictConfig, n_train: int, epochs_share: float = 1.0) -> Recipe:
    """Read the recipe of a config.

    Args:
        config: Of train.py.
        n_train: Number of training rows of the run, which decides its epochs if the config does
            not.
        epochs_share: The share of the epochs that the training takes, one at least; a schedule of
            all epochs becomes one of these.

    Returns:
        The recipe; nothing of it is built yet.

    Raises:
        InputError: If a plain option has a value that it cannot take.
    """
    settings = read_settings(config)
    whole = settings.trainer.max_epochs or epochs_of(config, settings, n_train)
    epochs = max(1, round(epochs_share * whole))
    others = {key: value for key, value in config.trainer.items() if key not in _FOLLOWED}
    return Recipe(
        seed=settings.seed,
        is_plain=others == _PLAIN,
        max_epochs=epochs,
        clip=settings.trainer.gradient_clip_val or None,  # 0 is off for Lightning
        training=settings.training,
        tuning=settings.tuning,
        new_loss=partial(_loss, config.loss),
        new_optimizer=partial(instantiate, config.optimizer),
        new_scheduler=partial(_scheduler, config.scheduler, whole, epochs),
        new_trainer=partial(_trainer, config.trainer, epochs),
        projection=partial(instantiate, config.projection),
        new_callbacks=partial(_callbacks, config),
        without=frozenset(k for k, v in (config.get("callbacks") or {}).items() if v is False),
    )


def epochs_of(config: DictConfig, settings: Settings, n_train: int) -> int:
    """Choose the number of epochs by the number of training rows.

    Few rows make few batches, so an epoch of theirs is a few steps; experiments/training has what
    too few steps cost.

    Args:
        config: Of train.py.
        settings: Its plain options.
        n_train: Number of training rows of the run.

    Returns:
        training.min_epochs, or as many as make training.min_steps steps of the optimizer.
    """
    trainer, training = config.trainer, settings.training
    nodes = settings.trainer.num_nodes
    processes = processes_per_node(trainer.strategy, trainer.devices, trainer.accelerator, nodes)
    order = SeededBatchSampler(n_train, training.batch_size, seed=0, world_size=processes * nodes)
    steps = -(-len(order) // settings.trainer.accumulate_grad_batches)
    return max(training.min_epochs, -(-training.min_steps // max(steps, 1)))


def _callbacks(config: DictConfig) -> tuple[Any, ...]:
    from devise_exp.pipelines.callbacks import user_callbacks  # late: Lightning

    return user_callbacks(config)


def _loss(config: DictConfig) -> Loss:
    """The loss; a class of one's own is built before it is called with embeddings."""
    loss: Any = instantiate(config)
    if isinstance(loss, partial) and isinstance(loss.func, type):
        return cast(Loss, loss())
    return cast(Loss, loss)


def _trainer(config: DictConfig, epochs: int) -> Callable[..., Any]:
    return partial(instantiate(config), max_epochs=epochs)


def _scheduler(config: DictConfig | None, whole: int, epochs: int) -> Callable[..., Any] | None:
    """The scheduler's constructor, of so many of the whole training's epochs.

    T_max is null where trainer.max_epochs is, and a number in the resolved config of a run folder.
    """
    scheduler: Callable[..., Any] | None = instantiate(config)
    if scheduler is not None and config is not None and config.get("T_max", 0) in (None, whole):
        return partial(scheduler, T_max=epochs)
    return scheduler
