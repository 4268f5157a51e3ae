"""Fitting with Lightning: what is learnt, and that an interrupted training ends the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from helpers.trainings import CLASSES, EPOCHS, Training, Watch, bank, same, weights
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.folders import image_folder
from devise_exp.data.splits import given_split
from devise_exp.features.backbones.base import Augment, Preprocess
from devise_exp.features.backbones.torchvision import torchvision_backbone
from devise_exp.methods import losses, projection
from devise_exp.methods.losses import hinge_rank
from devise_exp.training.batches import (
    RowBatches,
    image_inputs,
)
from devise_exp.training.checkpoint import BEST, LAST, read_checkpoint
from devise_exp.training.lightning import FitSettings, fit_with_lightning
from devise_exp.training.module import DeviseModule


class Interrupt(Callback):
    """Ctrl-C as a batch begins."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.when = epoch, batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.when:
            raise KeyboardInterrupt


def test_the_loss_falls_and_the_score_is_that_of_all_validation_rows(tmp_path: Path) -> None:
    data = bank(n=90 + 2500)  # three batches to validate on
    watch = Watch(data)
    module, best = Training(data).run(tmp_path, watch)
    assert watch.losses[-1] < 0.5 * watch.losses[0]
    assert watch.scores == pytest.approx(watch.by_numpy, abs=1e-7)
    assert best.score == pytest.approx(data.hit_at_1(module), abs=1e-7)
    assert best.score > 0.6 > 3 / CLASSES


def test_the_seed_decides_every_bit(tmp_path: Path) -> None:
    training = Training(
        head=partial(projection.mlp, hidden=16, dropout=0.3),
        loss=partial(hinge_rank, violators="first"),
        epochs=2,
    )
    first, second, other = (
        replace(training, seed=seed).run(tmp_path / name)[0].state_dict()
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert same(first, second)
    assert not same(first, other)


@dataclass(frozen=True)
class Noisy:
    """Features with noise by torch's generator, as augmentation has it."""

    features: np.ndarray

    def __call__(self, rows: np.ndarray) -> Tensor:
        clean = torch.from_numpy(self.features[rows])
        return clean + 0.5 * torch.randn_like(clean)


RANDOM = Training(
    head=partial(projection.mlp, hidden=16, dropout=0.3),
    loss=partial(hinge_rank, violators="first"),
    optimizer=partial(torch.optim.AdamW, lr=0.01),
    scheduler=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=EPOCHS),
)


@pytest.mark.parametrize(
    ("training", "stops"),
    [
        (Training(), [(2, 1)]),
        (Training(), [(0, 2), (1, 0), (5, 5)]),
        (RANDOM, [(3, 2)]),
        (replace(RANDOM, inputs=Noisy(bank().features)), [(1, 1), (4, 0)]),
        (replace(RANDOM, inputs=Noisy(bank().features), num_workers=2, epochs=3), [(2, 1)]),
        # Scores rise and fall, so that the last epoch is not the best when it stops.
        (Training(bank(noise=2.0), epochs=10), [(1, 0), (6, 0), (9, 2)]),
        (Training(bank(noise=2.0), epochs=10, patience=3), [(5, 0)]),
    ],
    ids=["plain", "thrice", "random", "noisy", "workers", "up-and-down", "patience"],
)
def test_an_interrupted_training_ends_at_the_same_bits(
    tmp_path: Path, training: Training, stops: list[tuple[int, int]]
) -> None:
    whole, best = training.run(tmp_path / "whole")
    for epoch, batch in stops:
        watch = Watch()
        with pytest.raises(KeyboardInterrupt):
            training.run(tmp_path / "parts", Interrupt(epoch, batch), watch)
        if epoch:  # no finished epoch is lost
            assert read_checkpoint(tmp_path / "parts" / LAST)["epoch"] == epoch - 1
    parts, resumed = training.run(tmp_path / "parts")
    assert resumed == best
    assert same(parts.state_dict(), whole.state_dict())
    for name in (BEST, LAST):
        assert same(weights(tmp_path / "parts" / name), weights(tmp_path / "whole" / name))


def test_a_moved_folder_resumes_the_same(tmp_path: Path) -> None:
    training = Training(bank(noise=2.0), epochs=10)
    whole, best = training.run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        training.run(tmp_path / "here", Interrupt(9, 0))
    (tmp_path / "here").rename(tmp_path / "there")
    parts, resumed = training.run(tmp_path / "there")
    assert best.epoch < 9
    assert resumed == best
    assert same(parts.state_dict(), whole.state_dict())
    assert not (tmp_path / "here").exists()


def test_patience_ends_the_training_and_resuming_does_not_go_on(tmp_path: Path) -> None:
    still = Training(optimizer=partial(torch.optim.SGD, lr=0.0), patience=2, epochs=9)
    watch = Watch()
    _, best = still.run(tmp_path, watch)
    assert len(watch.scores) == 1 + 2
    assert (best.epoch, best.epochs) == (2, 3)  # all are equal, and validation is small
    before = weights(tmp_path / LAST)
    again = Watch()
    module, resumed = still.run(tmp_path, again)
    assert again.scores == []
    assert resumed == best
    assert same(weights(tmp_path / LAST), before)
    assert same(module.state_dict(), weights(tmp_path / BEST))


def test_without_patience_every_epoch_is_trained(tmp_path: Path) -> None:
    watch = Watch()
    Training(optimizer=partial(torch.optim.SGD, lr=0.0), epochs=13).run(tmp_path, watch)
    assert len(watch.scores) == 13


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    training = Training(bank(noise=2.0), epochs=10)
    whole, best = training.run(tmp_path)
    watch = Watch()
    again, resumed = training.run(tmp_path, watch)
    assert watch.scores == []
    assert resumed == best
    assert same(again.state_dict(), whole.state_dict())


def test_a_rate_too_high_is_named(tmp_path: Path) -> None:
    wild = Training(loss=losses.mse, optimizer=partial(torch.optim.SGD, lr=1e20))
    with pytest.raises(InputError, match=r"the loss became (inf|nan) .* lower optimizer\.lr"):
        wild.run(tmp_path)


def test_a_foreign_or_damaged_checkpoint_in_the_folder_is_one_line(tmp_path: Path) -> None:
    Training(epochs=1).run(tmp_path)
    with pytest.raises(InputError, match="another shape") as caught:
        Training(head=partial(projection.mlp, hidden=4)).run(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / LAST).write_bytes(b"junk")
    with pytest.raises(InputError, match=r"last\.ckpt: damaged"):
        Training(epochs=1).run(tmp_path)


def test_a_training_of_no_epochs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trainer\.max_epochs"):
        Training(epochs=0).run(tmp_path)


SMALL = Preprocess(resize=36, crop=32)


@pytest.fixture(scope="module")
def dataset(image_tree: Path) -> ImageDataset:
    return image_folder(image_tree)


def test_one_epoch_on_images_trains_the_backbone_in_two_loader_processes(
    tmp_path: Path, dataset: ImageDataset
) -> None:
    rng = np.random.default_rng(0)
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(8, 4)).astype("f4")))
    rows = rng.permutation(len(dataset.rows))
    backbone = replace(torchvision_backbone("resnet18", weights=None), preprocess=SMALL)
    none = np.array([], dtype=np.int64)
    parts = (rows[:32], rows[32:], none, none)
    split = given_split(labelled_rows(dataset), parts, "all seen")
    augmented, plain = image_inputs(dataset, split, backbone)
    assert (augmented.transform, plain.transform) == (Augment(SMALL), SMALL)
    module = DeviseModule(
        projection.linear(512, 4),
        losses.cosine,
        vectors,
        partial(torch.optim.SGD, lr=0.1),
        backbone=backbone.network,
    )
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    best = fit_with_lightning(
        module,
        partial(pl.Trainer, accelerator="cpu", max_epochs=1),
        RowBatches(augmented, rows[:32], dataset.labels[rows[:32]]),
        RowBatches(plain, rows[32:], dataset.labels[rows[32:]]),
        tmp_path,
        seed=0,
        settings=FitSettings(batch_size=16, num_workers=2),
    )
    after = module.state_dict()
    for name in ("backbone.conv1.weight", "backbone.layer4.1.conv2.weight", "projection.weight"):
        assert not torch.equal(after[name], before[name])
    assert torch.equal(after["class_vectors"], before["class_vectors"])
    module.eval()
    with torch.inference_mode():
        answers = (module(plain(rows[32:])) @ vectors.T).argmax(dim=1).numpy()
    assert best.score == pytest.approx((answers == dataset.labels[rows[32:]]).mean())
