"""The module: its forward pass, validation metric and optimizer groups."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from helpers.modules import CLASSES, FEATURE_DIM, module
from hydra.utils import instantiate
from torch import nn
from torch.utils.data import DataLoader

from devise_exp.core.errors import InputError


def test_forward_goes_through_the_backbone_where_there_is_one() -> None:
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, FEATURE_DIM))
    images = torch.randn(3, 3, 2, 2)
    full = module(backbone)
    torch.testing.assert_close(full(images), full.projection(backbone(images)))
    features = torch.randn(3, FEATURE_DIM)
    torch.testing.assert_close(module()(features), module().projection(features))


@pytest.mark.parametrize("rows_per_batch", [1, 7, 40])
def test_validation_counts_every_row_once(rows_per_batch: int) -> None:
    trained = module()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, FEATURE_DIM)).astype(np.float32)
    targets = rng.integers(0, CLASSES, 40)
    batches = [
        (torch.from_numpy(features[part]), torch.from_numpy(targets[part]))
        for part in np.split(np.arange(40), range(rows_per_batch, 40, rows_per_batch))
    ]
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False
    )
    trainer.validate(trained, DataLoader(batches, batch_size=None), verbose=False)
    with torch.no_grad():  # another model's pass starts from nothing
        trained.projection.weight.neg_()
    (metrics,) = trainer.validate(trained, DataLoader(batches, batch_size=None), verbose=False)
    weight, bias = (p.detach().numpy() for p in trained.projection.parameters())
    hits = 0
    for feature, target in zip(features, targets, strict=True):
        embedding = weight @ feature + bias
        scores = [
            float(embedding @ v / np.linalg.norm(embedding) / np.linalg.norm(v))
            for v in trained.class_vectors.numpy()
        ]
        hits += scores.index(max(scores)) == target
    assert 0 < hits < 40
    assert metrics["val/hit@1"] == pytest.approx(hits / 40)


@pytest.mark.parametrize("scheduler", ["constant", "cosine"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "adagrad"])
def test_the_options_train_the_backbone_more_slowly(
    optimizer: str, scheduler: str, composed
) -> None:
    config = composed(f"optimizer={optimizer}", f"scheduler={scheduler}", "trainer.max_epochs=4")
    backbone = nn.Linear(3, FEATURE_DIM)
    trained = module(backbone, scheduler=instantiate(config.scheduler), backbone_lr_factor=0.1)
    trained.make_optimizer = instantiate(config.optimizer)
    (optimizer,), (plan,) = trained.configure_optimizers()
    head, body = optimizer.param_groups
    assert {id(p) for p in head["params"]} == {id(p) for p in trained.projection.parameters()}
    assert {id(p) for p in body["params"]} == {id(p) for p in backbone.parameters()}
    rates = []
    for _ in range(4):
        rates.append((head["lr"], body["lr"]))
        trained.loss(
            trained(torch.randn(2, 3)), torch.tensor([0, 1]), trained.class_vectors
        ).backward()
        before = [p.detach().clone() for p in trained.parameters()]
        optimizer.step()
        for old, new in zip(before, trained.parameters(), strict=True):
            assert not torch.equal(old, new)
        plan["scheduler"].step()
    assert plan["interval"] == "epoch"
    expected = {
        "constant": [1, 1, 1, 1],
        "cosine": [(1 + np.cos(np.pi * e / 4)) / 2 for e in range(4)],
    }
    for (fast, slow), share in zip(rates, expected[scheduler], strict=True):
        assert fast == pytest.approx(config.optimizer.lr * share)
        assert slow == pytest.approx(0.1 * fast)


def test_without_a_backbone_there_is_one_group_and_a_scheduler_is_not_needed() -> None:
    optimizer = module().configure_optimizers()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5]


def test_a_loss_that_is_no_number_names_what_to_change() -> None:
    trained = module()
    trained.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    batch = torch.full((2, FEATURE_DIM), torch.nan), torch.tensor([0, 1])
    with pytest.raises(InputError, match=r"the loss became nan at step 0: lower optimizer\.lr"):
        trained.training_step(batch, 0)
