"""Weights that stand in for trained ones, and a torch cache without a network."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models


@pytest.fixture(scope="module")
def resnet18() -> Any:
    """A whole resnet18 whose weights stand in for trained ones."""
    torch.manual_seed(3)
    network = models.resnet18().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
    return network


@pytest.fixture(scope="module")
def resnet18_file(resnet18: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18.state_dict(), path)
    return path


@pytest.fixture
def torch_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """torch's folder of downloads, empty, and no way to fill it."""

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    return tmp_path / "torch" / "hub" / "checkpoints"
