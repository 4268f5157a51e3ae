"""The plain loop: to the very weights that Lightning reaches, whatever the recipe."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.methods import losses, projection
from devise_exp.methods.losses import hinge_rank
from devise_exp.methods.task import GuardedFeatures, Task
from devise_exp.pipelines.fit import fit_to
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.training.batches import FeatureInputs, RowBatches
from devise_exp.training.lightning import FitSettings, fit_with_lightning
from devise_exp.training.loop import TrainSettings, train_projection
from devise_exp.training.module import DeviseModule

SEED, EPOCHS, BATCH = 3, 5, 16
N, CLASSES, FEATURE_DIM, DIM = 120, 6, 8, 5


def rows() -> tuple[np.ndarray, RowBatches, RowBatches]:
    """(class vectors, training rows, validation rows) of noisy classes in float16, as banks are."""
    rng = np.random.default_rng(0)
    targets = rng.integers(CLASSES, size=N)
    centres = rng.normal(size=(CLASSES, FEATURE_DIM))
    features = (centres[targets] + rng.normal(size=(N, FEATURE_DIM))).astype(np.float16)
    vectors = rng.normal(size=(CLASSES, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bank = FeatureInputs(GuardedFeatures(features, np.ones(N, dtype=bool)))
    train, val = np.split(np.arange(N), [90])
    return vectors, RowBatches(bank, train, targets[train]), RowBatches(bank, val, targets[val])


SETTINGS: dict[str, dict[str, Any]] = {
    "linear": {"head": projection.linear},
    "dropout": {"head": partial(projection.mlp, hidden=12, dropout=0.4)},
    "batch norm": {"head": partial(projection.mlp, hidden=12, norm="batch")},
    "first violator": {"loss": partial(hinge_rank, violators="first")},
    "softmax": {"loss": losses.softmax},
    "schedule": {"scheduler": partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=EPOCHS)},
    "adagrad": {"optimizer": partial(torch.optim.Adagrad, lr=0.05)},
    "fused": {"optimizer": partial(torch.optim.AdamW, lr=0.05, fused=True)},
    "clipped": {"clip": 0.01},
    "patience": {"patience": 1, "optimizer": partial(torch.optim.SGD, lr=5.0)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_weights_and_scores_are_lightnings(tmp_path: Path, name: str) -> None:
    options = {
        "head": partial(projection.mlp, hidden=12), "loss": losses.cosine, "scheduler": None,
        "optimizer": partial(torch.optim.SGD, lr=0.5, momentum=0.9), "patience": None,
        "clip": None, **SETTINGS[name],
    }  # fmt: skip
    vectors, train, val = rows()
    torch.manual_seed(SEED)
    plain = options["head"](FEATURE_DIM, DIM)
    settings = TrainSettings(
        loss=options["loss"],
        optimizer=options["optimizer"],
        scheduler=options["scheduler"],
        epochs=EPOCHS,
        batch_size=BATCH,
        patience=options["patience"],
        gradient_clip=options["clip"],
    )
    scores: list[float] = []
    score, epoch = train_projection(
        plain, torch.from_numpy(vectors), settings, train, val, SEED,
        lambda _, value: scores.append(value),
    )  # fmt: skip
    torch.manual_seed(SEED)
    head = options["head"](FEATURE_DIM, DIM)
    module = DeviseModule(
        head, options["loss"], torch.from_numpy(vectors), options["optimizer"], options["scheduler"]
    )
    trainer = partial(
        pl.Trainer,
        accelerator="cpu",
        devices=1,
        max_epochs=EPOCHS,
        gradient_clip_val=options["clip"],
    )
    fit_settings = FitSettings(batch_size=BATCH, patience=options["patience"])
    outcome = fit_with_lightning(module, trainer, train, val, tmp_path, SEED, fit_settings)
    assert (outcome.score, outcome.epoch) == (pytest.approx(score, abs=1e-6), epoch)
    assert max(scores) == score
    assert len(scores) - 1 - scores[::-1].index(score) == epoch  # the last of equals
    rise, patience = scores.index(score), options["patience"]
    assert len(scores) == (EPOCHS if patience is None else min(rise + 1 + patience, EPOCHS))
    steps = len(range(0, 89, BATCH))
    assert (outcome.epochs, outcome.steps) == (len(scores), len(scores) * steps)
    for key, value in head.state_dict().items():
        assert torch.equal(plain.state_dict()[key], value), key


def test_what_a_report_raises_ends_the_training() -> None:
    vectors, train, val = rows()
    settings = TrainSettings(
        loss=losses.cosine,
        optimizer=partial(torch.optim.SGD, lr=0.1),
        epochs=EPOCHS,
        batch_size=BATCH,
    )
    epochs: list[int] = []

    def report(epoch: int, score: float) -> None:
        epochs.append(epoch)
        if epoch == 2:
            raise InterruptedError

    head = projection.linear(FEATURE_DIM, DIM)
    with pytest.raises(InterruptedError):
        train_projection(head, torch.from_numpy(vectors), settings, train, val, SEED, report)
    assert epochs == [0, 1, 2]


def test_a_loss_that_is_no_number_is_named() -> None:
    vectors, train, val = rows()
    settings = TrainSettings(
        loss=losses.mse,
        optimizer=partial(torch.optim.SGD, lr=1e30),
        epochs=EPOCHS,
        batch_size=BATCH,
    )
    head = projection.linear(FEATURE_DIM, DIM)
    with pytest.raises(InputError, match=r"loss became (nan|inf).*lower optimizer\.lr"):
        train_projection(head, torch.from_numpy(vectors), settings, train, val, SEED)


def test_trainers_that_do_more_than_the_loop_are_not_plain(
    composed: Callable[..., DictConfig],
) -> None:
    assert recipe_of(composed(), N).is_plain
    assert recipe_of(composed("trainer.gradient_clip_val=1"), N).is_plain
    for override in (
        "trainer=gpu", "trainer=smoke", "trainer.precision=bf16-mixed",
        "+trainer.accumulate_grad_batches=2",
    ):  # fmt: skip
        assert not recipe_of(composed(override), N).is_plain, override


def test_a_task_is_fitted_alike_with_and_without_lightning(
    composed: Callable[..., DictConfig],
) -> None:
    vectors, train, val = rows()
    ids = np.concatenate([train.targets, val.targets])
    bank = train.inputs.features
    task = Task(
        features=bank,
        class_ids=ids,
        class_vectors=vectors,
        seen=np.arange(CLASSES),
        unseen=np.arange(0),
        train=train.rows,
        val=val.rows,
        seed=SEED,
    )
    plain, lightning = (
        fit_to(
            recipe_of(
                composed(
                    "projection.hidden=12",
                    "training.min_epochs=3",
                    f"seed={SEED}",
                    "training.batch_size=32",
                    "training.min_steps=10",
                    *more,
                ),
                len(task.train),
            ),
            task,
        )
        for more in ((), ("+trainer.enable_checkpointing=true",))
    )
    for one, other in zip(plain.parameters(), lightning.parameters(), strict=True):
        assert torch.equal(one, other)
