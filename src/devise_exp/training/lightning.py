"""Fitting a module with Lightning, on features or images, with checkpoints and resuming."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, ProgressBar, RichProgressBar
from torch.utils.data import DataLoader

from devise_exp.core.console import progress_is_hidden
from devise_exp.core.errors import InputError
from devise_exp.training.batches import RowBatches, SeededBatchSampler, ordered_batches
from devise_exp.training.best_epoch import TrainingResult
from devise_exp.training.callbacks import (
    AtomicCheckpointIO,
    BestAndLast,
    KeepSigterm,
    LastEpoch,
    SeedEpoch,
)
from devise_exp.training.checkpoint import BEST, LAST, load_weights
from devise_exp.training.module import DeviseModule

OURS = ("checkpoints", "seed_epoch", "keep_sigterm", "progress_bar")  # callbacks
NO_EPOCH = (
    "no epoch was trained and validated: set trainer.max_epochs to 1 or more, and leave "
    "trainer.limit_train_batches and trainer.limit_val_batches above 0"
)


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a module is fitted, apart from its rows and its trainer: the config's group `training`.

    Attributes:
        batch_size: Rows in a batch, on every rank.
        patience: Epochs without a higher validation hit@1 after which training ends; None: never.
        num_workers: Processes that load batches.
        resumable: Whether to keep last.ckpt.
        callbacks: A user's, added to those of this project.
        without: Those of this project that are left out, of OURS.
    """

    batch_size: int = 256
    patience: int | None = 10
    num_workers: int = 0
    resumable: bool = True
    callbacks: tuple[Callback, ...] = ()
    without: frozenset[str] = frozenset()


def silence_lightning() -> None:
    """Leave out Lightning's remarks that a person can do nothing about."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch.optim")


def fit_with_lightning(
    module: DeviseModule,
    make_trainer: Callable[..., pl.Trainer],
    train: RowBatches,
    val: RowBatches,
    folder: Path,
    seed: int,
    settings: FitSettings | None = None,
    logger: Any = False,
) -> TrainingResult:
    """Train a module in place; it ends as its best epoch, as `BestEpoch` says.

    From a last.ckpt in `folder` it goes on to the weights of an uninterrupted training.

    Args:
        module: The module.
        make_trainer: From keyword arguments to a Lightning trainer.
        train: Rows to train on.
        val: Rows to validate on.
        folder: Folder of best.ckpt and last.ckpt.
        seed: Decides the order of rows and everything random.
        settings: Batches, patience and checkpoints; None: the defaults.
        logger: Lightning's logger, or False.

    Returns:
        The best epoch with its validation hit@1, and how long the training was.

    Raises:
        InputError: No epoch is trained, the loss is not finite, or last.ckpt does not fit.
    """
    settings = settings or FitSettings()
    keeps = LastEpoch if "checkpoints" in settings.without else BestAndLast
    checkpoints = keeps(folder, settings.patience, settings.resumable, len(val))
    others = {"seed_epoch": SeedEpoch(seed), "keep_sigterm": KeepSigterm()}
    callbacks: list[Callback] = [checkpoints]
    callbacks += [callback for name, callback in others.items() if name not in settings.without]
    callbacks += settings.callbacks
    shows_progress = "progress_bar" not in settings.without
    trainer = _trainer(make_trainer, callbacks, folder, logger, shows_progress)
    _fit(trainer, module, train, val, folder / LAST, seed, settings)
    best = checkpoints.best
    if best.epoch < 0:
        raise InputError(NO_EPOCH)
    load_weights(module, folder / BEST)
    return TrainingResult(
        score=best.score,
        epoch=best.epoch,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
    )


def _fit(
    trainer: pl.Trainer,
    module: DeviseModule,
    train: RowBatches,
    val: RowBatches,
    last: Path,
    seed: int,
    settings: FitSettings,
) -> None:
    """Fit the module, from its last checkpoint if there is one."""
    size, workers = settings.batch_size, settings.num_workers
    order = SeededBatchSampler(len(train), size, seed, trainer.global_rank, trainer.world_size)
    val_order = ordered_batches(len(val), trainer.global_rank, trainer.world_size)
    loaders = (
        DataLoader(train, None, sampler=order, num_workers=workers, generator=order.generator),
        DataLoader(val, None, sampler=val_order, num_workers=workers),
    )
    resume = last.exists()
    if resume:  # one line if it does not fit
        order.set_epoch(load_weights(module, last)["epoch"] + 1)
    try:
        trainer.fit(module, *loaders, ckpt_path=last if resume else None, weights_only=True)
    except MisconfigurationException as error:
        raise InputError(
            f"trainer, callbacks or loggers: {' '.join(str(error).split())}"
        ) from error
    except SystemExit as error:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from error


def _trainer(
    make_trainer: Callable[..., pl.Trainer],
    callbacks: list[Callback],
    folder: Path,
    logger: Any,
    shows_progress: bool,
) -> pl.Trainer:
    """The trainer of the config, with what all trainings need; what the config says stays."""
    given: dict[str, Any] = getattr(make_trainer, "keywords", {})
    callbacks = [*callbacks, *as_list(given.get("callbacks"))]
    has_bar = any(isinstance(callback, ProgressBar) for callback in callbacks)
    # Nobody sees a bar without a terminal, and a log would fill with its lines.
    if shows_progress and sys.stderr.isatty() and not (has_bar or progress_is_hidden()):
        callbacks.append(RichProgressBar(leave=False, console_kwargs={"stderr": True}))
        has_bar = True
    usual = {
        "enable_progress_bar": has_bar,
        "default_root_dir": folder,
        "deterministic": "warn",  # a few CUDA kernels have no repeatable form
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
    }
    plugins = [AtomicCheckpointIO(), LightningEnvironment(), *as_list(given.get("plugins"))]
    return make_trainer(
        callbacks=callbacks,
        plugins=plugins,
        logger=logger,
        use_distributed_sampler=False,
        **{key: value for key, value in usual.items() if key not in given},
    )


def as_list(value: Any) -> list[Any]:
    """Take what Lightning takes as one or several.

    Args:
        value: One, a list of them, or None.

    Returns:
        A list.
    """
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


silence_lightning()  # before any trainer is made, also one that only looks at the options
