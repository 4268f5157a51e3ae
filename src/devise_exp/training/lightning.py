"""Fitting a module with Lightning: bank rows or pictures, checkpoints, and resuming."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback, Checkpoint, RichProgressBar
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.utils.data import DataLoader

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Augment, Backbone, Preprocess
from devise_exp.training.batches import RowBatches, SeededBatchSampler, epoch_seed, in_order
from devise_exp.training.checkpoint import load_weights
from devise_exp.training.distributed.serving import send_ready
from devise_exp.training.module import SCORE, DeviseModule

BEST, LAST = "best.ckpt", "last.ckpt"


@dataclass(frozen=True)
class ImageRows:
    """Inputs from pictures: row indices (B,) -> (B, 3, H, W)."""

    dataset: ImageDataset
    transform: Preprocess | Augment

    def __call__(self, rows: np.ndarray) -> Tensor:
        assert self.dataset.images is not None
        return torch.stack([self.transform(self.dataset.images[row]) for row in rows])


def image_rows(dataset: ImageDataset, backbone: Backbone) -> tuple[ImageRows, ImageRows]:
    """Augmented pictures to train on and plain ones to validate on; InputError where there are
    none.
    """
    if dataset.images is None:
        raise InputError(
            f"backbone.trainable=true trains on pictures, and those of {dataset.name} are not "
            "at hand: give data.root=FOLDER"
        )
    plain = backbone.preprocess
    return ImageRows(dataset, Augment(plain)), ImageRows(dataset, plain)


class _SeedEpoch(Callback):
    """Dropout and random violators start each epoch from (seed, epoch, rank): the same after a
    resume.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.manual_seed(epoch_seed(self.seed, trainer.current_epoch, trainer.global_rank))


class _Checkpoints(Checkpoint):
    """After every epoch best.ckpt, if val/hit@1 is higher than ever, and then last.ckpt; stops
    `patience` epochs after the best one.

    Lightning's ModelCheckpoint renews last.ckpt only in epochs that improve, and forgets the best
    score when the folder has been moved; its EarlyStopping goes on when a stopped training resumes.
    """

    def __init__(self, folder: Path, patience: int | None, resumable: bool) -> None:
        self.folder, self.patience, self.resumable = folder, patience, resumable
        self.best, self.epoch = -1.0, -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop_when_late(trainer, trainer.current_epoch - 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if SCORE in trainer.callback_metrics:
            # Rank 0 decides: saving is a step that all ranks take together.
            score = trainer.strategy.broadcast(float(trainer.callback_metrics[SCORE]))
            if score > self.best:
                self.best, self.epoch = score, trainer.current_epoch
                trainer.save_checkpoint(self.folder / BEST, weights_only=not self.resumable)
        if self.resumable:
            trainer.save_checkpoint(self.folder / LAST)
        self._stop_when_late(trainer, trainer.current_epoch)

    def _stop_when_late(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.patience is not None and epoch - self.epoch >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.epoch = state_dict["best"], state_dict["epoch"]


class _OwnSigterm(Callback):
    """SIGTERM means during a training what it has meant before. Lightning would send the other
    ranks a word in the middle of their steps, and go on to the end of the batch.
    """

    def __init__(self) -> None:
        self.before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        own = threading.current_thread() is threading.main_thread()
        if own and self.before is not None:  # None: set by other than Python
            signal.signal(signal.SIGTERM, self.before)


class _WholeFiles(TorchCheckpointIO):
    """Checkpoints by write-then-rename in their own folder; Lightning's way is by the temporary
    folder, from where a file may have to be copied.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with atomic_path(Path(path)) as made:
            torch.save(checkpoint, made)


def silence_lightning() -> None:
    """Leave out remarks of Lightning's that a person can do nothing about."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch.optim")


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C during Trainer.fit stays KeyboardInterrupt; Lightning makes it exit code 1."""
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error


def fit_with_lightning(
    module: DeviseModule,
    make_trainer: Callable[..., pl.Trainer],
    train: RowBatches,
    val: RowBatches,
    folder: Path,
    seed: int,
    batch_size: int = 256,
    patience: int | None = 10,
    num_workers: int = 0,
    logger: Any = False,
    resumable: bool = True,
) -> dict[str, float]:
    """Train until the seen validation hit@1 has not risen for `patience` epochs; `module` ends as
    the best epoch, the first of equals.

    Checkpoints best.ckpt and, unless it need not be `resumable`, last.ckpt go to `folder`; where a
    last.ckpt is already there the training goes on from it, to the very weights it would have
    reached uninterrupted. Returns the best val/hit@1 and its epoch.
    """
    checkpoints = _Checkpoints(folder, patience, resumable)
    own = [checkpoints, _SeedEpoch(seed), _OwnSigterm()]
    bars = [RichProgressBar(leave=False, console_kwargs={"stderr": True})]
    trainer = make_trainer(
        # Nobody sees a bar where there is no terminal, and a log would fill with its lines.
        callbacks=[*own, *(bars if sys.stderr.isatty() else [])],
        enable_progress_bar=sys.stderr.isatty(),
        plugins=[_WholeFiles(), LightningEnvironment()],
        logger=logger,
        default_root_dir=folder,
        deterministic="warn",  # a few CUDA kernels have no repeatable form
        use_distributed_sampler=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    order = SeededBatchSampler(
        len(train), batch_size, seed, trainer.global_rank, trainer.world_size
    )
    loaders = (
        DataLoader(train, None, sampler=order, num_workers=num_workers, generator=order.generator),
        # Every rank validates on all rows.
        DataLoader(val, None, sampler=in_order(len(val)), num_workers=num_workers),
    )
    last = folder / LAST if (folder / LAST).exists() else None
    if last is not None:  # says in one line if it does not fit
        order.set_epoch(load_weights(module, last)["epoch"] + 1)
    send_ready()
    with interruptible():
        trainer.fit(module, *loaders, ckpt_path=last, weights_only=True)
    if checkpoints.epoch < 0:
        raise InputError(
            "no epoch was trained and validated: set trainer.max_epochs to 1 or more, and leave "
            "trainer.limit_train_batches and trainer.limit_val_batches above 0"
        )
    load_weights(module, folder / BEST)
    return {SCORE: checkpoints.best, "epoch": checkpoints.epoch}
