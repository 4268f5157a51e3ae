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

from devise_exp.core.errors import InputError
from devise_exp.features import engines
from devise_exp.features.backbones.base import Backbone, Preprocess
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.engines import (
    OPENVINO_MIN_IMAGES,
    TORCH_IMAGES_AT_ONCE,
    Engine,
    build_engine,
    choose_engine,
    cosines,
    openvino_engine,
    torch_engine,
)
from devise_exp.features.extraction import ExtractionSettings


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
    return Backbone(
        name="small",
        build=lambda: network,
        feature_dim=dim,
        preprocess=Preprocess(resize=28, crop=24),
        categories=(),
    )


def random_pixels(n: int, size: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=generator)


def built(name: str, backbone: Backbone) -> Engine:
    sample = random_pixels(5, backbone.preprocess.crop)
    return build_engine(name, "float32", backbone, "cpu", sample)


def test_both_engines_give_the_features_of_the_plain_network() -> None:
    backbone, pixels = efficientnet_lite(0), random_pixels(3, 224)
    images = torch.stack([backbone.preprocess.normalize(image) for image in pixels])
    with torch.no_grad():
        expected = efficientnet_lite(0).network.eval()(images).numpy()
    for name in ("torch", "openvino"):
        engine = built(name, backbone)
        assert (engine.name, engine.precision) == (name, "float32")
        features = engine.run(pixels)
        assert (features.dtype, features.shape) == (np.float32, (3, 1280))
        assert cosines(features, expected).min() > 0.99999
        assert np.allclose(features, expected, rtol=1e-2, atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.sampled_from([1, 2]))
def test_openvino_gives_an_image_the_same_bits_in_any_batch_on_any_cores(
    sizes: list[int], cores: int
) -> None:
    torch.set_num_threads(1)
    images = random_pixels(sum(sizes))
    backbone = backbone_of(small())
    whole = openvino_engine(backbone, "float32").run(images)
    torch.set_num_threads(cores)
    engine = openvino_engine(backbone, "float32")
    parts = [engine.run(part) for part in images.split(sizes)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert len(np.unique(whole, axis=0)) == len(whole)


def test_torch_gives_an_image_the_same_bits_in_any_batch_of_whole_parts() -> None:
    engine, images = (
        torch_engine(backbone_of(small()), "cpu", "float32"),
        random_pixels(5 * TORCH_IMAGES_AT_ONCE),
    )
    whole = engine.run(images)
    for size in (TORCH_IMAGES_AT_ONCE, 2 * TORCH_IMAGES_AT_ONCE, 3 * TORCH_IMAGES_AT_ONCE):
        parts = [engine.run(part) for part in images.split(size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_bfloat16_features_are_nearly_those_of_float32() -> None:
    backbone, images = backbone_of(small()), random_pixels(9)
    exact = torch_engine(backbone, "cpu", "float32").run(images)
    engine = torch_engine(backbone, "cpu", "bfloat16")
    features = engine.run(images)
    assert (engine.precision, features.dtype) == ("bfloat16", np.float32)
    assert not np.allclose(features, exact, rtol=1e-5)  # it has computed in fewer digits
    assert cosines(features, exact).mean() > 0.999
    other = openvino_engine(backbone, "bfloat16")  # which the processor may not have
    assert other.precision in ("bfloat16", "float32")
    assert cosines(other.run(images), exact).mean() > 0.999


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
    images, backbone = random_pixels(5), backbone_of(network, dim)
    expected = torch_engine(backbone, "cpu", "float32")
    engine = built("openvino", backbone)
    output = capsys.readouterr()
    assert "warning: OpenVINO" in output.out + output.err
    if isinstance(network, Asking):
        assert np.array_equal(engine.run(images), expected.run(images))
    assert engine.name == "torch"


def test_features_that_are_not_alike_enough_are_torchs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "MIN_COSINE", 1.1)
    assert built("openvino", backbone_of(small())).name == "torch"
    output = capsys.readouterr()
    assert "features of small differ from torch's (cosine 1.0000)" in output.out + output.err


def test_auto_takes_openvino_for_many_images_on_a_processor() -> None:
    many = OPENVINO_MIN_IMAGES
    assert choose_engine("auto", "cpu", many) == "openvino"
    assert (
        choose_engine("auto", "cpu", many - 1) == choose_engine("auto", "cuda:0", many) == "torch"
    )
    assert choose_engine("torch", "cpu", many) == "torch"
    assert choose_engine("openvino", "cpu", 1) == "openvino"
    with pytest.raises(InputError, match=r"features\.engine=onnx: choose auto, torch, openvino"):
        ExtractionSettings(engine="onnx")
    with pytest.raises(InputError, match=r"engine=openvino: OpenVINO runs on the processor"):
        choose_engine("openvino", "cuda:0", 1)


def test_without_openvino_torch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert choose_engine("auto", "cpu", 10**6) == "torch"
    with pytest.raises(
        InputError, match=r"OpenVINO is not installed: pip install 'devise-exp\[openvino\]'"
    ):
        choose_engine("openvino", "cpu", 1)


def test_openvino_reports_nothing() -> None:
    code = (
        "import sys, torch\nfrom devise_exp.features.engines import openvino_engine\n"
        "from devise_exp.features.backbones.base import Backbone, Preprocess\n"
        "preprocess = Preprocess(resize=2, crop=2)\n"
        "backbone = Backbone(name='flat', build=torch.nn.Flatten, feature_dim=12,"
        " preprocess=preprocess, categories=())\n"
        "openvino_engine(backbone, 'float32')\n"
        "stub = 'openvino.tools.ovc.telemetry_stub'\n"
        "print(sys.modules['openvino_telemetry'], stub in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "True"]
