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


class Inconvertible(nn.Module):
    """What a tracer cannot follow."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(images.detach().numpy().mean(axis=(2, 3)).repeat(4, axis=1))


class Remembering(nn.Module):
    """Another constant whenever it is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0

    def forward(self, images: Tensor) -> Tensor:
        self.turn += 1
        return images.mean(dim=(2, 3)) + self.turn * torch.tensor([1.0, -5.0, 3.0])


def test_torch_stands_in_where_openvino_is_not_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    images = pictures(5)
    found = engine_of("openvino", backbone_of(Inconvertible(), 12), "cpu")(images)
    assert np.array_equal(found, torch_engine(Inconvertible(), "cpu")(images))
    engine_of("openvino", backbone_of(Remembering(), 3), "cpu")
    told = capsys.readouterr()
    warned = (told.out + told.err).replace("\n", " ")
    assert "OpenVINO cannot run small" in warned or "features of small differ" in warned


def test_auto_takes_openvino_for_many_pictures_on_a_processor() -> None:
    many = engines.WORTH_OPENVINO
    assert name_of("auto", "cpu", many) == "openvino"
    assert name_of("auto", "cpu", many - 1) == name_of("auto", "cuda:0", many) == "torch"
    assert name_of("torch", "cpu", many) == "torch"
    assert name_of("openvino", "cpu", 1) == "openvino"
    with pytest.raises(InputError, match=r"features\.engine=onnx: choose auto, torch, openvino"):
        name_of("onnx", "cpu", 1)
    with pytest.raises(InputError, match=r"engine=openvino: OpenVINO runs on the processor"):
        name_of("openvino", "cuda:0", 1)


def test_without_openvino_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert name_of("auto", "cpu", 10**6) == "torch"
    with pytest.raises(InputError, match=r"OpenVINO is missing \(pip install -e '.\[openvino\]'"):
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
