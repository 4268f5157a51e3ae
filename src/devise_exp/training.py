"""Fitting a module: batches of bank rows or pictures, callbacks, and one process per device."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, RichProgressBar
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from devise_exp.backbone import Augment, Backbone, Preprocess
from devise_exp.datasets import ImageDataset
from devise_exp.errors import WRONG_INPUT, InputError
from devise_exp.module import SCORE, DeviseModule, load_weights
from devise_exp.storage import replacing

BEST, LAST = "best.ckpt", "last.ckpt"
Inputs = Callable[[np.ndarray], Tensor]
_READY = "DEVISE_READY"  # in a child of `launched`: the pipe on which it says that it is ready
_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_GRACE = 60.0  # seconds for the other ranks to follow one that has ended


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
            "at hand: give data.root=FOLDER"
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
        self.generator = torch.Generator()  # for the loader, to seed its processes from

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch, but of a resumed one too late."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-(self.n // self.world) // self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        self.generator.manual_seed(_epoch_seed(self.seed, self.epoch, self.rank))
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
        torch.manual_seed(_epoch_seed(self.seed, trainer.current_epoch, trainer.global_rank))


def _epoch_seed(seed: int, epoch: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0] >> 1)


class _Checkpoints(Checkpoint):
    """After every epoch best.ckpt, if val/hit@1 is higher than ever, and then last.ckpt; stops
    `patience` epochs after the best one.

    Lightning's ModelCheckpoint renews last.ckpt only in epochs that improve, and forgets the best
    score when the folder has been moved; its EarlyStopping goes on when a stopped training resumes.
    """

    def __init__(self, folder: Path, patience: int | None) -> None:
        self.folder, self.patience = folder, patience
        self.best, self.epoch = -1.0, -1

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop_when_late(trainer, trainer.current_epoch - 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if SCORE in trainer.callback_metrics:
            # Rank 0 decides: saving is a step that all ranks take together.
            score = trainer.strategy.broadcast(float(trainer.callback_metrics[SCORE]))
            if score > self.best:
                self.best, self.epoch = score, trainer.current_epoch
                trainer.save_checkpoint(self.folder / BEST)
        trainer.save_checkpoint(self.folder / LAST)
        self._stop_when_late(trainer, trainer.current_epoch)

    def _stop_when_late(self, trainer: pl.Trainer, epoch: int) -> None:
        if self.patience is not None and epoch - self.epoch >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.epoch = state_dict["best"], state_dict["epoch"]


class _WholeFiles(TorchCheckpointIO):
    """Checkpoints by write-then-rename in their own folder; Lightning's way is by the temporary
    folder, from where a file may have to be copied.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with replacing(Path(path)) as made:
            torch.save(checkpoint, made)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C during Trainer.fit stays KeyboardInterrupt; Lightning makes it exit code 1."""
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error


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
    the best epoch, the first of equals.

    Checkpoints best.ckpt and last.ckpt go to `folder`; where a last.ckpt is already there the
    training goes on from it, to the very weights it would have reached uninterrupted. Returns the
    best val/hit@1 and its epoch.
    """
    checkpoints = _Checkpoints(folder, patience)
    bar = RichProgressBar(leave=False, console_kwargs={"stderr": True})
    trainer = make_trainer(
        callbacks=[checkpoints, _SeedEpoch(seed), bar],
        plugins=[_WholeFiles()],
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
    loaders = (
        DataLoader(train, None, sampler=order, num_workers=num_workers, generator=order.generator),
        DataLoader(val, None, sampler=in_order, num_workers=num_workers),
    )
    last = folder / LAST if (folder / LAST).exists() else None
    if last is not None:  # says in one line if it does not fit
        order.set_epoch(load_weights(module, last)["epoch"] + 1)
    _say_ready()
    with interruptible():
        trainer.fit(module, *loaders, ckpt_path=last, weights_only=True)
    if checkpoints.epoch < 0:
        raise InputError(
            "no epoch was trained and validated: set trainer.max_epochs to 1 or more, and leave "
            "trainer.limit_train_batches and trainer.limit_val_batches above 0"
        )
    load_weights(module, folder / BEST)
    return {SCORE: checkpoints.best, "epoch": checkpoints.epoch}


def ranks(strategy: str, devices: int | str | Sequence[int], accelerator: str = "auto") -> int:
    """How many processes this machine shall run for trainer.strategy, .devices and .accelerator.

    InputError for strategies that start their processes in another way than `launched`.
    """
    if not (strategy == "auto" or strategy == "ddp" or strategy.startswith("ddp_find_unused")):
        if devices in (1, "1"):
            return 1
        raise InputError(f"trainer.strategy={strategy}: for several devices choose ddp")
    if isinstance(devices, str) and "," in devices:  # "0,1": these two
        return len([each for each in devices.split(",") if each.strip()])
    if devices in (-1, "-1", "auto"):
        return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())
    return int(devices) if isinstance(devices, int | str) else len(devices)


@contextmanager
def launched(world: int, child: Sequence[str]) -> Iterator[None]:
    """Run `child` (arguments after the interpreter) as ranks 1 ... world - 1 beside this process,
    rank 0.

    Lightning would start the ranks with this process's own command line, which in a Hydra multirun
    is that of the whole sweep; so ranks are started here, from the run folder's own config, and
    Lightning finds them there. A child must come to `fit`. InputError where one ends with an error.
    Where a launcher (torchrun) has set LOCAL_RANK already nothing is started.
    """
    if world == 1 or "LOCAL_RANK" in os.environ:
        yield
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world)}
    os.environ.update(shared, NODE_RANK="0", LOCAL_RANK="0")
    children: list[subprocess.Popen] = []
    done = threading.Event()
    try:
        # The ranks meet in a call that nothing can interrupt, not even Ctrl-C: so only once all of
        # them are sure to come.
        pipes = [_start(child, rank, children) for rank in range(1, world)]
        if not all(pipe.read(1) for pipe in pipes):
            raise _failed()
        threading.Thread(target=_watch, args=(children, done), daemon=True).start()
        try:
            yield
        except RuntimeError as error:  # "connection closed by peer" is but an echo of its end
            if any(_ends_badly(process, 5) for process in children):
                raise _failed() from error
            raise
        if any(_ends_badly(process, _GRACE) for process in children):
            raise _failed()
    finally:
        done.set()
        for process in children:
            process.kill()
            process.wait()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name in (*_RANK_VARIABLES, "PL_GLOBAL_SEED"):  # the next job of a sweep starts clean
            os.environ.pop(name, None)


def _start(child: Sequence[str], rank: int, children: list[subprocess.Popen]) -> IO[bytes]:
    """Start one rank; returns the pipe that gives a byte when it is ready, and ends when it is."""
    ready, says = os.pipe()
    environment = {**os.environ, "LOCAL_RANK": str(rank), _READY: str(says)}
    children.append(subprocess.Popen([sys.executable, *child], env=environment, pass_fds=[says]))
    os.close(says)
    return os.fdopen(ready, "rb", buffering=0)


def _say_ready() -> None:
    """Tell the rank 0 that has started this process, if one has, that its rank comes now."""
    if _READY in os.environ:
        with os.fdopen(int(os.environ.pop(_READY)), "wb") as pipe:
            pipe.write(b"1")


def _ends_badly(process: subprocess.Popen, seconds: float) -> bool:
    """Whether it ends with an error within `seconds`, or not at all."""
    try:
        return process.wait(seconds) != 0
    except subprocess.TimeoutExpired:
        return True


def _watch(children: Sequence[subprocess.Popen], done: threading.Event) -> None:
    """End this process where another rank has failed and this one waits for it all the same: deaf
    to signals, on some networks for half an hour.
    """
    while not done.wait(1):
        if any(process.poll() for process in children) and not done.wait(_GRACE):
            print(f"error: {_failed()}", file=sys.stderr, flush=True)
            for process in children:
                process.kill()
            os._exit(WRONG_INPUT)


def _failed() -> InputError:
    return InputError("a training process ended with an error: see its message above")
