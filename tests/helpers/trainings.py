"""Small trainings with Lightning, and what their checkpoints hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from devise_exp.methods import losses, projection
from devise_exp.training.batches import (
    FeatureInputs,
    Inputs,
    RowBatches,
)
from devise_exp.training.best_epoch import TrainingResult
from devise_exp.training.checkpoint import read_checkpoint
from devise_exp.training.lightning import FitSettings, fit_with_lightning
from devise_exp.training.module import DeviseModule

CLASSES, DIM, FEATURE_DIM, EPOCHS = 6, 5, 8, 6


SGD = partial(torch.optim.SGD, lr=0.5, momentum=0.9)


@dataclass(frozen=True)
class Bank:
    """Features of noisy classes: targets by row, the first 90 rows to train on."""

    features: np.ndarray
    targets: np.ndarray
    class_vectors: np.ndarray
    n_train: int = 90

    def rows(self, inputs: Inputs | None = None) -> tuple[RowBatches, RowBatches]:
        source = inputs or FeatureInputs(self.features)
        train, val = np.split(np.arange(len(self.targets)), [self.n_train])
        return RowBatches(source, train, self.targets[train]), RowBatches(
            source, val, self.targets[val]
        )

    def hit_at_1(self, module: DeviseModule) -> float:
        """On the validation rows, by numpy alone; the projection must be linear."""
        weight, bias = (p.detach().numpy().astype(float) for p in module.projection.parameters())
        embeddings = self.features[self.n_train :] @ weight.T + bias
        return float(
            ((embeddings @ self.class_vectors.T).argmax(1) == self.targets[self.n_train :]).mean()
        )


def bank(n: int = 130, noise: float = 0.8) -> Bank:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(CLASSES, DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    targets = rng.integers(0, CLASSES, n)
    features = vectors[targets] @ rng.normal(size=(DIM, FEATURE_DIM))
    features += noise * rng.normal(size=features.shape)
    return Bank(features.astype(np.float32), targets, vectors.astype(np.float32))


@dataclass
class Training:
    """One way to train on a bank; run() starts, or goes on in, a folder."""

    data: Bank = field(default_factory=bank)
    head: Callable[[int, int], nn.Module] = projection.linear
    loss: Any = losses.softmax
    optimizer: Any = SGD
    scheduler: Any = None
    inputs: Inputs | None = None
    epochs: int = EPOCHS
    seed: int = 3
    patience: int | None = None
    num_workers: int = 0
    batch_size: int = 16
    logger: Any = False

    def run(self, folder: Path, *callbacks: Callback) -> tuple[DeviseModule, TrainingResult]:
        torch.manual_seed(self.seed)
        module = DeviseModule(
            self.head(FEATURE_DIM, DIM),
            self.loss,
            torch.from_numpy(self.data.class_vectors),
            self.optimizer,
            self.scheduler,
        )

        def make_trainer(**options: Any) -> pl.Trainer:
            options["callbacks"] = [*options["callbacks"], *callbacks]
            return pl.Trainer(accelerator="cpu", devices=1, max_epochs=self.epochs, **options)

        train, val = self.data.rows(self.inputs)
        settings = FitSettings(
            batch_size=self.batch_size, patience=self.patience, num_workers=self.num_workers
        )
        best = fit_with_lightning(
            module,
            make_trainer,
            train,
            val,
            folder,
            self.seed,
            settings,
            self.logger,
        )
        return module, best


class Watch(Callback):
    """Scores and losses of all epochs, by Lightning and by numpy."""

    def __init__(self, data: Bank | None = None) -> None:
        self.data = data
        self.scores: list[float] = []
        self.by_numpy: list[float] = []
        self.losses: list[float] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.scores.append(float(trainer.callback_metrics["val/hit@1"]))
        self.losses.append(float(trainer.callback_metrics["train/loss"]))
        if self.data is not None:
            assert isinstance(pl_module, DeviseModule)
            self.by_numpy.append(self.data.hit_at_1(pl_module))


def weights(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = read_checkpoint(path)["state_dict"]
    return state


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a) and a.keys() == b.keys()
