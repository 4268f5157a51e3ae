"""Before a training: every part of it built and called once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from torch import Tensor

from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.user_code import user_errors
from devise_exp.pipelines.build import build_module, seen_vectors
from devise_exp.pipelines.callbacks import check_trainer
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.recipe import Recipe, recipe_of
from devise_exp.pipelines.user_parts import user_target
from devise_exp.training.batches import image_inputs
from devise_exp.training.lightning import as_list
from devise_exp.training.module import DeviseModule


def check_training(config: DictConfig, data: ExperimentData) -> None:
    """Build every part of the training once, so that a wrong option ends the run early.

    Args:
        config: Of train.py.
        data: What was prepared by it.

    Raises:
        InputError: If a part cannot be built, or parts do not fit together.
    """
    if data.backbone.trainable:
        image_inputs(data.dataset, data.split, data.backbone)
    if (
        config.trainer.gradient_clip_val
        and "mixed" in str(config.trainer.precision)
        and config.optimizer.get("fused")
    ):
        raise InputError(
            f"trainer.precision={config.trainer.precision} cannot clip gradients of a fused "
            "optimizer: set optimizer.fused=false"
        )
    recipe = recipe_of(config, data.n_train)
    with _errors_of("loss", config, "loss"):
        recipe.new_loss()
    with _errors_of("projection", config, "seed or projection"):
        module = build_module(recipe, data.backbone.feature_dim, seen_vectors(data))
        embeddings = _embeddings(module, data.backbone.feature_dim)
    with _errors_of("loss", config, "loss"):
        _check_loss(module, embeddings)
    with _errors_of("optimizer", config, "optimizer or scheduler"):
        _check_optimizer(recipe, module)
    with _errors_of("scheduler", config, "optimizer or scheduler"):
        module.configure_optimizers()
    check_trainer(config)
    callbacks = recipe.new_callbacks()
    with as_input_error("trainer or callbacks" if callbacks else "trainer"):
        _check_trainer(instantiate(config.trainer), callbacks)


@contextmanager
def _errors_of(group: str, config: DictConfig, title: str) -> Iterator[None]:
    """One line for a library's error about a value, and for any error of a user's own part."""
    with as_input_error(title), user_errors(group, user_target(config, group)):
        yield


def _embeddings(module: DeviseModule, feature_dim: int) -> Tensor:
    """What the projection makes of two rows; InputError if these are no word vectors."""
    embeddings: object = module.projection(torch.zeros(2, feature_dim))
    dim = module.class_vectors.shape[1]
    if not isinstance(embeddings, Tensor) or embeddings.shape != (2, dim):
        raise InputError(
            f"projection: of features (2, {feature_dim}) it gives {_shown(embeddings)}: let it "
            f"give (2, {dim}), a row of the word vectors' length for each"
        )
    return embeddings


def _check_loss(module: DeviseModule, embeddings: Tensor) -> None:
    """InputError if the loss is no number that can be minimised."""
    targets = torch.zeros(2, dtype=torch.int64)
    loss: object = module.loss(embeddings, targets, module.class_vectors)
    if not isinstance(loss, Tensor) or loss.shape != ():
        raise InputError(f"loss: it gives {_shown(loss)}: let it give a scalar, such as the mean")
    if not loss.requires_grad:
        raise InputError(
            "loss: it does not depend on the embeddings in a way that torch can differentiate: "
            "compute it by torch, without detach() or argmax"
        )


def _check_optimizer(recipe: Recipe, module: DeviseModule) -> None:
    """InputError if the optimizer is none."""
    optimizer: object = recipe.new_optimizer()([{"params": list(module.projection.parameters())}])
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(f"optimizer: it gives {_shown(optimizer)}: give a torch.optim.Optimizer")


def _check_trainer(make_trainer: Any, callbacks: tuple[Any, ...]) -> None:
    """Build the trainer with a user's callbacks, as in `fit_with_lightning`."""
    given = getattr(make_trainer, "keywords", {})
    every = [*callbacks, *as_list(given.get("callbacks"))]
    has_bar = any(isinstance(callback, ProgressBar) for callback in every)
    # Without it Lightning looks for Slurm.
    plugins = [LightningEnvironment(), *as_list(given.get("plugins"))]
    usual = {"enable_progress_bar": has_bar} if "enable_progress_bar" not in given else {}
    make_trainer(logger=False, callbacks=[*every, _Keeps()], plugins=plugins, **usual)


class _Keeps(Checkpoint):
    """Stands for the checkpoints of a run, so that Lightning adds none of its own."""


def _shown(value: object) -> str:
    """A value that a part should not have given."""
    shape = f" {tuple(value.shape)}" if isinstance(value, Tensor) else ""
    return f"a {type(value).__name__}{shape}"
