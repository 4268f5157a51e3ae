"""Files of weights: read without running them, or refused in one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.timm import timm_backbone
from devise_exp.features.backbones.torchvision import torchvision_backbone


class Malicious:
    """Its pickle writes a file when it is loaded carelessly."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.target,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(start=st.sampled_from([b"", b"\x80\x02", b"\x80\x02}q\x00"]), rest=st.binary(max_size=40))
def test_no_bytes_at_all_raise_anything_else(start: bytes, rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "junk.pth"
    path.write_bytes(start + rest)
    with pytest.raises(InputError, match=r"junk\.pth: "):
        torchvision_backbone("resnet18", weights=str(path))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickled_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    path, target = tmp_path / "weights.pth", tmp_path / "touched"
    for save in (torch.save, lambda what, to: to.write_bytes(pickle.dumps(what))):
        save({"fc.weight": Malicious(target)}, path)
        with pytest.raises(InputError, match="safely"):
            torchvision_backbone("resnet18", weights=str(path))
        with pytest.raises(InputError, match="resnet10t: its weights could not be had"):
            timm_backbone("resnet10t", file=str(path))
    assert not target.exists()


def test_files_of_something_else_are_refused(resnet18_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    for content in (
        [torch.zeros(3)],
        {"epoch": 3},
        torch.zeros(3),
        {"state_dict": {"a": torch.zeros(1)}},
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match="holds no state dict"):
            torchvision_backbone("resnet18", weights=str(path))
    with pytest.raises(InputError, match=r"resnet34 weights .*: the tensors do not fit"):
        torchvision_backbone("resnet34", weights=str(resnet18_file))
    torch.save(torchvision_backbone("resnet18", weights=None).network.state_dict(), path)
    with pytest.raises(InputError, match=r"do not fit the network \(Missing key.*fc\.weight"):
        torchvision_backbone("resnet18", weights=str(path))
