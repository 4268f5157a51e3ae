"""What Lightning does differently here: seeds of epochs, checkpoints, SIGTERM, whole files."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from devise_exp.core.files import atomic_path
from devise_exp.training.batches import epoch_seed
from devise_exp.training.best_epoch import BestEpoch
from devise_exp.training.checkpoint import BEST, LAST
from devise_exp.training.module import SCORE


class SeedEpoch(Callback):
    """Starts the random numbers of each epoch from (seed, epoch, rank), the same after a resume.

    Args:
        seed: The run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed torch's generators."""
        torch.manual_seed(epoch_seed(self.seed, trainer.current_epoch, trainer.global_rank))


class BestAndLast(Checkpoint):
    """Saves best.ckpt after every epoch that is the best so far, and last.ckpt after every epoch.

    Lightning's ModelCheckpoint renews last.ckpt only in epochs that improve, and forgets the best
    score if the folder was moved; its EarlyStopping goes on when a stopped training resumes.

    Args:
        folder: The folder of the checkpoints.
        patience: Epochs without a higher score after which training stops; None: never.
        resumable: Whether to save last.ckpt, and the optimizer's state.
        n_rows: Number of validation rows.
    """

    def __init__(self, folder: Path, patience: int | None, resumable: bool, n_rows: int) -> None:
        self.folder, self.patience, self.resumable = folder, patience, resumable
        self.best = BestEpoch(n_rows=n_rows)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the training had stopped before it was resumed."""
        self._stop_if_late(trainer, trainer.current_epoch - 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the checkpoints of an epoch."""
        if SCORE in trainer.callback_metrics:
            # Rank 0 decides: saving is a step that all ranks take together.
            score = trainer.strategy.broadcast(float(trainer.callback_metrics[SCORE]))
            if self.best.improves(trainer.current_epoch, score):
                trainer.save_checkpoint(self.folder / BEST, weights_only=not self.resumable)
        if self.resumable:
            trainer.save_checkpoint(self.folder / LAST)
        self._stop_if_late(trainer, trainer.current_epoch)

    def _stop_if_late(self, trainer: pl.Trainer, epoch: int) -> None:
        """Stop `patience` epochs after the score has risen."""
        if self.best.is_late(epoch, self.patience):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the best score and its epoch for a checkpoint."""
        return self.best.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best score and its epoch from a checkpoint."""
        self.best.restore(state_dict)


class LastEpoch(BestAndLast):
    """Keeps nothing between epochs: the result is the last epoch, saved as best.ckpt."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the epoch as the result so far."""
        if SCORE in trainer.callback_metrics:
            score = trainer.strategy.broadcast(float(trainer.callback_metrics[SCORE]))
            self.highest.improves(trainer.current_epoch, score)
            self.best.score, self.best.epoch = score, trainer.current_epoch
            self.best.risen = self.highest.risen
        self._stop_if_late(trainer, trainer.current_epoch)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self.highest = BestEpoch(n_rows=self.best.n_rows)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the last epoch."""
        if self.best.epoch >= 0:
            trainer.save_checkpoint(self.folder / BEST, weights_only=True)


class KeepSigterm(Callback):
    """Keeps the meaning that SIGTERM had before the training.

    Lightning's handler would send the other ranks a message in the middle of their steps, and go on
    to the end of the batch.
    """

    def __init__(self) -> None:
        self.before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the earlier handler again."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and self.before is not None:  # None: set by other than Python
            signal.signal(signal.SIGTERM, self.before)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it.

    Lightning would write to the temporary folder, from which a file may have to be copied.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint."""
        with atomic_path(Path(path)) as partial:
            torch.save(checkpoint, partial)
