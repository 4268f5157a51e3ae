"""Checkpoints: loaded strictly, and nothing in them is executed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from helpers.modules import DIM, module
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.training.checkpoint import load_weights, read_checkpoint


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
        with pytest.raises(InputError, match="no checkpoint of Lightning"):
            read_checkpoint(saved(tmp_path / "a.ckpt", **content))
    torch.save(torch.zeros(3), tmp_path / "tensor.ckpt")
    with pytest.raises(InputError, match="no checkpoint of Lightning"):
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
