"""The engines that run a frozen network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from devise_exp import engines
from devise_exp.backbone import Backbone, Preprocess, efficientnet_lite
from devise_exp.engines import cosines, engine_of, name_of, openvino_engine, torch_engine
from devise_exp.errors import InputError
from devise_exp.extraction import Settings


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
    )


def backbone_of(network: nn.Module, dim: int = 32) -> Backbone:
    return Backbone("small", lambda: network, dim, Preprocess(28, 24), ())


def pictures(n: int) -> Tensor:
    return torch.randn(n, 3, 24, 24, generator=torch.Generator().manual_seed(n))


def test_both_engines_give_the_features_of_the_plain_network() -> None:
    backbone, images = efficientnet_lite(0), torch.randn(3, 3, 224, 224)
    with torch.no_grad():
        expected = efficientnet_lite(0).network.eval()(images).numpy()
    for name in ("torch", "openvino"):
        found = engine_of(name, backbone, "cpu")(images)
        assert (found.dtype, found.shape) == (np.float32, (3, 1280))
        assert cosines(found, expected).min() > 0.99999
        assert np.allclose(found, expected, rtol=1e-2, atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.sampled_from([1, 2]))
def test_openvino_gives_a_picture_the_same_bits_in_any_batch_on_any_cores(
    sizes: list[int], cores: int
) -> None:
    torch.set_num_threads(1)
    images = pictures(sum(sizes))
    whole = openvino_engine(small(), 24, 32)(images)
    torch.set_num_threads(cores)
    engine = openvino_engine(small(), 24, 32)
    parts = [engine(part) for part in images.split(sizes)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert len(np.unique(whole, axis=0)) == len(whole)


class Asking(nn.Module):
    """What a tracer cannot follow: it asks for values."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(images.detach().numpy().mean(axis=(2, 3)).repeat(4, axis=1))


class Changing(nn.Module):
    """What gives other features each time, of which a tracer keeps those of one."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0

    def forward(self, images: Tensor) -> Tensor:
        self.turn += 1
        turned = torch.tensor([1.0, -5.0, 3.0]).roll(self.turn)
        return images.mean(dim=(2, 3)) + turned


@pytest.mark.parametrize(("network", "dim"), [(Asking(), 12), (Changing(), 3), (small(), 31)])
def test_torch_stands_in_where_openvino_is_not_the_same(
    network: nn.Module, dim: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A feature of 31 numbers, as this backbone says, is not what the network gives."""
    images, own = pictures(5), backbone_of(network, dim)
    expected = torch_engine(network, "cpu")
    found = engine_of("openvino", own, "cpu")
    told = capsys.readouterr()
    assert "warning: OpenVINO" in told.out + told.err
    if isinstance(network, Asking):
        assert np.array_equal(found(images), expected(images))
    assert found.__qualname__ == expected.__qualname__


def test_features_that_are_not_alike_enough_are_torchs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "ALIKE", 1.1)
    assert "torch_engine" in engine_of("openvino", backbone_of(small()), "cpu").__qualname__
    told = capsys.readouterr()
    assert "features of small differ (cosine 1.0000): torch's" in told.out + told.err


def test_auto_takes_openvino_for_many_pictures_on_a_processor() -> None:
    many = engines.WORTH_OPENVINO
    assert name_of("auto", "cpu", many) == "openvino"
    assert name_of("auto", "cpu", many - 1) == name_of("auto", "cuda:0", many) == "torch"
    assert name_of("torch", "cpu", many) == "torch"
    assert name_of("openvino", "cpu", 1) == "openvino"
    with pytest.raises(InputError, match=r"features\.engine=onnx: choose auto, torch, openvino"):
        Settings(engine="onnx")
    with pytest.raises(InputError, match=r"engine=openvino: OpenVINO runs on the processor"):
        name_of("openvino", "cuda:0", 1)


def test_without_openvino_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert name_of("auto", "cpu", 10**6) == "torch"
    with pytest.raises(
        InputError, match=r"OpenVINO is not installed: pip install -e '.\[openvino\]'"
    ):
        name_of("openvino", "cpu", 1)


def test_openvino_tells_nobody() -> None:
    code = (
        "import sys, torch\nfrom devise_exp.engines import openvino_engine\n"
        "openvino_engine(torch.nn.Flatten(), 2, 12)\n"
        "stub = 'openvino.tools.ovc.telemetry_stub'\n"
        "print(sys.modules['openvino_telemetry'], stub in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "True"]
