"""The module: its forward pass, validation figure, optimizer groups, and reading of checkpoints."""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader

from devise_exp.core.errors import InputError
from devise_exp.methods import losses, projection
from devise_exp.training.checkpoint import load_weights, read_checkpoint
from devise_exp.training.module import DeviseModule

CLASSES, DIM, FEATURE_DIM = 5, 4, 6


def module(backbone: nn.Module | None = None, dim: int = DIM, **more: object) -> DeviseModule:
    torch.manual_seed(0)
    vectors = nn.functional.normalize(torch.randn(CLASSES, dim))
    optimizer = partial(torch.optim.SGD, lr=0.5)
    mapping = projection.linear(FEATURE_DIM, dim)
    return DeviseModule(mapping, losses.cosine, vectors, optimizer, backbone=backbone, **more)


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
    (figures,) = trainer.validate(trained, DataLoader(batches, batch_size=None), verbose=False)
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
    assert figures["val/hit@1"] == pytest.approx(hits / 40)


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


def saved(path: Path, **content: object) -> Path:
    torch.save(content, path)
    return path


def test_weights_come_back_from_a_checkpoint(tmp_path: Path) -> None:
    first, second = module(), module()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter += 1
    load_weights(second, saved(tmp_path / "a.ckpt", state_dict=first.state_dict()))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_checkpoints_of_other_models_are_refused_and_change_nothing(tmp_path: Path) -> None:
    trained = module()
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    state = {name: tensor + 1 for name, tensor in before.items()}
    lacking = {name: tensor for name, tensor in state.items() if "bias" not in name}
    for content, reason in (
        (module(dim=DIM + 1).state_dict(), r"weight is \(5, 6\), not \(4, 6\)"),
        (lacking, "bias is missing, not"),
        (state | {"extra": torch.zeros(1)}, "extra belongs to another model"),
    ):
        path = saved(tmp_path / "a.ckpt", state_dict=content)
        with pytest.raises(InputError, match="another shape") as caught:
            load_weights(trained, path)
        assert caught.match(reason)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.ckpt")
    for content in (
        {"weights": {}},
        {"state_dict": [1, 2]},
        {"state_dict": {"projection.weight": 3}},
    ):
        with pytest.raises(InputError, match="holds no Lightning checkpoint"):
            read_checkpoint(saved(tmp_path / "a.ckpt", **content))
    torch.save(torch.zeros(3), tmp_path / "tensor.ckpt")
    with pytest.raises(InputError, match="holds no Lightning checkpoint"):
        read_checkpoint(tmp_path / "tensor.ckpt")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(st.binary(max_size=60), st.binary(max_size=30).map(lambda b: b"\x80\x02" + b + b"."))
)
def test_junk_is_said_to_be_damaged(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "junk.ckpt"
    path.write_bytes(junk)
    with pytest.raises(InputError, match=r"damaged|holds no"):
        read_checkpoint(path)


def test_a_checkpoint_cut_short_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt", state_dict=module().state_dict())
    whole = path.read_bytes()
    for size in (len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="damaged"):
            read_checkpoint(path)


class _MakesFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))]
)
def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path, save) -> None:
    content = {"state_dict": {}, "trap": _MakesFolder(tmp_path / "made")}
    save(content, tmp_path / "evil.ckpt")
    with pytest.raises(InputError, match="damaged, or not a checkpoint that torch loads safely"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "made").exists()
    pickle.loads(pickle.dumps(content))
    assert (tmp_path / "made").exists()  # the trap is a real one
