"""What ranks do in the tests of them: processes that are started find it by its name."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.training.distributed.group import StageRequest, leading


def note(request: StageRequest) -> None:
    """Add a line to the file that the request names: who has taken which stage."""
    with Path(request.run_folder).open("a") as file:
        file.write(f"{os.getpid()} {dist.get_rank()} {request.config}\n")


def follow_notes(request: StageRequest) -> None:
    """Any rank but 0: `note`, unless the config says what to do instead."""
    acts: dict[str, Any] = {
        "input": partial(_raise, InputError("no such image")),
        "bug": partial(normalize_rows, "no array"),  # of this package
        "own": partial(_raise, ZeroDivisionError("division by zero")),
        "kill": partial(os.kill, os.getpid(), signal.SIGKILL),
    }
    if request.stage == "network":
        train_small(request)
    else:
        acts.get(request.config, partial(note, request))()


def lead_notes(path: str, configs: list[str]) -> tuple[int, list[int]]:
    """Rank 0: lead a stage for each config; a stage is a sum over the ranks' numbers plus one."""
    sums = []
    for config in configs:
        with leading(StageRequest(stage="projection", config=config, run_folder=path)):
            note(StageRequest(stage="projection", config=config, run_folder=path))
        sums.append(len(Path(path).read_text().splitlines()))
    return os.getpid(), sums


def fail(kind: str) -> None:
    """Rank 0: fail, outside of a stage."""
    if kind == "bug":  # of this package
        normalize_rows("mine too")  # type: ignore[arg-type]
    errors = {"input": InputError("mine"), "own": ZeroDivisionError("a user's")}
    raise errors[kind]


def fail_in_stage(path: str) -> None:
    """Rank 0: fail while the other rank waits for it."""
    with leading(StageRequest(stage="projection", config="a: 1", run_folder=path)):
        raise InputError("mine in a stage")


def lead_training(folder: str, act: str) -> None:
    """Rank 0: train, while another rank does `act` in the middle."""
    request = StageRequest(stage="network", config=act, run_folder=folder)
    with leading(request):
        train_small(request)


def train_small(request: StageRequest) -> None:
    """Fit a small module on all ranks; rank 1 does at its fourth step what the config says."""
    import pytorch_lightning as pl

    from devise_exp.methods import losses, projection
    from devise_exp.training.batches import FeatureInputs, RowBatches
    from devise_exp.training.lightning import FitSettings, fit_with_lightning
    from devise_exp.training.module import DeviseModule

    class Fails(pl.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if trainer.global_rank == 1 and trainer.global_step == 3:
                if request.config == "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                with torch.no_grad():
                    pl_module.projection.weight.fill_(float("nan"))

    rng = np.random.default_rng(0)
    inputs = FeatureInputs(rng.normal(size=(64, 4)))
    rows = RowBatches(inputs, np.arange(64), rng.integers(0, 3, 64))
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(3, 2)).astype("f4")))
    sgd = partial(torch.optim.SGD, lr=0.1)
    module = DeviseModule(projection.linear(4, 2), losses.cosine, vectors, sgd)

    def make(callbacks: Any, **options: Any) -> pl.Trainer:
        return pl.Trainer(
            accelerator="cpu", devices=2, strategy="ddp", max_epochs=2,
            callbacks=[*callbacks, Fails()], **options,
        )  # fmt: skip

    settings = FitSettings(batch_size=8)
    fit_with_lightning(module, make, rows, rows, Path(request.run_folder), 0, settings)


def wait_for_ever(path: str) -> None:
    """Rank 0: note that it is there, and wait; a stop is noted beside that."""
    try:
        Path(path).write_text(str(os.getpid()))
        time.sleep(600)
    except KeyboardInterrupt as error:
        Path(f"{path}.stopped").write_text(type(error).__name__)
        raise


def _raise(error: Exception) -> None:
    raise error
