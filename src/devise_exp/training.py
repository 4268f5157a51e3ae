"""Fitting a module: batches of bank rows or pictures, callbacks, and one process per device."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from devise_exp.backbone import Augment, Backbone, Preprocess
from devise_exp.datasets import ImageDataset
from devise_exp.errors import InputError
from devise_exp.module import DeviseModule, load_weights, read_checkpoint

BEST, LAST = "best.ckpt", "last.ckpt"
Inputs = Callable[[np.ndarray], Tensor]
_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class BankRows:
    """Inputs from a feature bank: row indices (B,) -> (B, feature_dim) float32."""

    features: np.ndarray

    def __call__(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(self.features[rows], dtype=np.float32))


@dataclass(frozen=True)
class PictureRows:
    """Inputs from pictures: row indices (B,) -> (B, 3, H, W)."""

    dataset: ImageDataset
    transform: Preprocess | Augment

    def __call__(self, rows: np.ndarray) -> Tensor:
        assert self.dataset.images is not None
        return torch.stack([self.transform(self.dataset.images[row]) for row in rows])


def picture_rows(dataset: ImageDataset, backbone: Backbone) -> tuple[PictureRows, PictureRows]:
    """Augmented pictures to train on and plain ones to validate on; InputError where there are
    none.
    """
    if dataset.images is None:
        raise InputError(
            f"backbone.trainable=true trains on pictures, and those of {dataset.name} are not "
            f"at hand: give "
            "data.root=FOLDER"
        )
    plain = backbone.preprocess
    return PictureRows(dataset, Augment(plain)), PictureRows(dataset, plain)


class Rows(Dataset):
    """A batch of row indices (B,) -> (inputs (B, ...), targets (B,)); a batch is one fetch."""

    def __init__(self, inputs: Inputs, rows: np.ndarray, targets: np.ndarray) -> None:
        self.inputs, self.rows, self.targets = inputs, rows, torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        return self.inputs(self.rows[batch]), self.targets[batch]


class ShuffledBatches(Sampler):
    """Batches in an order that (seed, epoch) alone decide, so a resumed run sees what it would
    have seen.

    Each of `world` ranks takes its own equal share of the epoch's permutation; at most world - 1
    rows sit out.
    """

    def __init__(self, n: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.n, self.batch_size, self.seed, self.rank, self.world = n, batch_size, seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-(self.n // self.world) // self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n)
        own = order[: self.n // self.world * self.world][self.rank :: self.world]
        return (own[i : i + self.batch_size] for i in range(0, len(own), self.batch_size))


class _SeedEpoch(Callback):
    """Dropout and random violators start each epoch from (seed, epoch, rank): the same after a
    resume.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.manual_seed(
            self.seed * 1_000_003 + trainer.current_epoch * 1009 + trainer.global_rank
        )


def fit(
    module: DeviseModule,
    make_trainer: Callable[..., pl.Trainer],
    train: Rows,
    val: Rows,
    folder: Path,
    seed: int,
    batch_size: int = 256,
    patience: int | None = 10,
    num_workers: int = 0,
    logger: Any = False,
) -> dict[str, float]:
    """Train until the seen validation hit@1 has not risen for `patience` epochs; `module` ends as
    the best epoch.

    Checkpoints best.ckpt and last.ckpt go to `folder`; where a last.ckpt is already there the
    training goes on from it. Returns the best val/hit@1 and its epoch.
    """
    checkpoint = ModelCheckpoint(
        folder, "best", "val/hit@1", mode="max", save_last=True, enable_version_counter=False
    )
    callbacks: list[Callback] = [checkpoint, _SeedEpoch(seed), RichProgressBar(leave=False)]
    if patience is not None:
        callbacks.append(EarlyStopping("val/hit@1", patience=patience, mode="max"))
    trainer = make_trainer(
        callbacks=callbacks,
        logger=logger,
        default_root_dir=folder,
        deterministic=True,
        use_distributed_sampler=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    order = ShuffledBatches(len(train), batch_size, seed, trainer.global_rank, trainer.world_size)
    in_order = np.array_split(np.arange(len(val)), -(-len(val) // 1024))  # every rank: all rows
    train_loader, val_loader = (
        DataLoader(rows, batch_size=None, sampler=sampler, num_workers=num_workers)
        for rows, sampler in ((train, order), (val, in_order))
    )
    last = folder / LAST
    if last.exists():
        load_weights(module, last)  # says in one line if it does not fit
    try:
        start = last if last.exists() else None
        trainer.fit(module, train_loader, val_loader, ckpt_path=start, weights_only=True)
    except SystemExit as error:  # Lightning turns Ctrl-C into exit code 1
        raise KeyboardInterrupt from error
    if checkpoint.best_model_path:
        load_weights(module, folder / BEST)
    score = float(checkpoint.best_model_score) if checkpoint.best_model_score is not None else 0.0
    return {"val/hit@1": score, "epoch": int(read_checkpoint(folder / BEST)["epoch"])}


def ranks(strategy: str, devices: int | str | Sequence[int]) -> int:
    """How many processes this machine shall run for trainer.strategy and trainer.devices."""
    if not str(strategy).startswith("ddp"):
        return 1
    if isinstance(devices, int):
        return devices if devices > 0 else max(1, torch.cuda.device_count())
    if isinstance(devices, str):
        return int(devices) if devices.isdigit() else max(1, torch.cuda.device_count())
    return len(devices)


@contextmanager
def launched(world: int, child: Sequence[str]) -> Iterator[None]:
    """Run `child` (arguments after the interpreter) as ranks 1 ... world - 1 beside this process,
    rank 0.

    Lightning would start the ranks with this process's own command line, which in a Hydra multirun
    is that of the whole sweep; so ranks are started here, from the run folder's own config, and
    Lightning finds them there. Where a launcher (torchrun, Slurm) has set LOCAL_RANK already
    nothing is started.
    """
    if world == 1 or "LOCAL_RANK" in os.environ:
        yield
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world)}
    os.environ.update(shared, NODE_RANK="0", LOCAL_RANK="0")
    children = [
        subprocess.Popen([sys.executable, *child], env={**os.environ, "LOCAL_RANK": str(rank)})
        for rank in range(1, world)
    ]
    try:
        yield
        if any(process.wait(timeout=120) for process in children):
            raise InputError("a training process ended with an error: see its message above")
    finally:
        for process in children:
            process.kill()
            process.wait()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name in (*_RANK_VARIABLES, "PL_GLOBAL_SEED"):  # the next job of a sweep starts clean
            os.environ.pop(name, None)
