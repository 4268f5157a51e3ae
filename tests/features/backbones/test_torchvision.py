"""Backbones of torchvision: features, preprocessing, classes, and weights from wherever."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.backbones import FILE_NAMES, IMAGENET_1K, IMAGES, feature
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.backbones.torchvision import torchvision_backbone


@pytest.fixture(scope="module")
def vgg16() -> dict[str, Backbone]:
    return {
        layer: torchvision_backbone("vgg16", weights=None, layer=layer) for layer in ("fc2", "pool")
    }


def test_random_weights_are_the_seeds_alone() -> None:
    torch.manual_seed(1)
    undisturbed = torch.rand(3)
    torch.manual_seed(1)
    first = torchvision_backbone("resnet18", weights=None, seed=0)
    assert torch.equal(torch.rand(3), undisturbed)
    again = torchvision_backbone("resnet18", weights=None, seed=0)
    other = torchvision_backbone("resnet18", weights=None, seed=1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(feature(first), feature(again))
    assert first.categories == ()


@pytest.mark.parametrize(
    ("arch", "length"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)]
)
def test_resnets_give_the_averaged_last_map(arch: str, length: int) -> None:
    backbone = torchvision_backbone(arch, weights=None, trainable=True)
    assert (backbone.feature_dim, backbone.trainable) == (length, True)
    maps: list[torch.Tensor] = []
    layer: Any = backbone.network.layer4
    layer.register_forward_hook(lambda _, __, output: maps.append(output))
    assert torch.allclose(feature(backbone), maps[0].mean((0, 2, 3)), atol=1e-5)


def test_vgg16_has_its_penultimate_layer_and_its_averaged_last_map(
    vgg16: dict[str, Backbone],
) -> None:
    fc2, pool = vgg16["fc2"], vgg16["pool"]
    assert (fc2.feature_dim, pool.feature_dim) == (4096, 512)
    assert fc2.fingerprint != pool.fingerprint
    network = fc2.network
    with torch.inference_mode():
        last_map = network.features(fc2.preprocess(IMAGES[0])[None])
        first, second = (m for m in network.classifier if isinstance(m, torch.nn.Linear))
        hidden = first(network.avgpool(last_map).flatten(1)).relu()
        expected = second(hidden).relu()
    assert torch.allclose(feature(fc2), expected[0], atol=1e-5)
    assert (expected == 0).any()
    assert torch.allclose(feature(pool), last_map.mean((0, 2, 3)), atol=1e-5)


@pytest.mark.parametrize(
    ("arch", "layer", "message"),
    [
        ("resnet18", "fc2", "backbone.layer=fc2: resnet18 has pool"),
        ("vgg16", "fc7", "backbone.layer=fc7: vgg16 has pool or fc2"),
        ("resnet19", "pool", "backbone.arch=resnet19: choose one of resnet18"),
        ("densenet121", "pool", "backbone.arch=densenet121: choose one of resnet18"),
    ],
)
@pytest.mark.usefixtures("torch_cache")
def test_a_wrong_layer_or_arch_is_said_before_any_download(
    arch: str, layer: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        torchvision_backbone(arch, layer=layer)


def test_a_weights_file_gives_the_features_of_the_whole_network(
    resnet18: Any, resnet18_file: Path
) -> None:
    backbone = torchvision_backbone("resnet18", weights=str(resnet18_file))
    layers = create_feature_extractor(resnet18, {"flatten": "feature"})
    preset = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        expected = layers(preset(IMAGES[0])[None])["feature"][0]
    assert torch.equal(feature(backbone), expected)
    assert backbone.categories is None  # of which pretraining, the file does not say


@pytest.mark.usefixtures("torch_cache")
def test_a_file_in_torchs_cache_is_used_without_a_download(
    resnet18_file: Path, torch_cache: Path
) -> None:
    torch_cache.mkdir(parents=True)
    shutil.copy(resnet18_file, torch_cache / FILE_NAMES["resnet18", "IMAGENET1K_V1"])
    cached = torchvision_backbone("resnet18")
    from_file = torchvision_backbone("resnet18", weights=str(resnet18_file))
    assert cached.fingerprint == from_file.fingerprint
    assert cached.categories == IMAGENET_1K


@pytest.mark.parametrize(("arch", "weights"), FILE_NAMES)
def test_weights_that_cannot_be_downloaded_name_file_folder_and_what_works_offline(
    arch: str, weights: str, torch_cache: Path
) -> None:
    with pytest.raises(InputError) as caught:
        torchvision_backbone(arch, weights)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        f"the file {FILE_NAMES[arch, weights]} into {torch_cache}",
        "backbone.weights=FILE or null",
        "backbone=efficientnet_lite0",
        "no network in tests",
    ):
        assert part in message


@pytest.mark.parametrize(
    "error", [ConnectionResetError("reset"), IncompleteRead(b"half"), TimeoutError("late")]
)
def test_a_download_that_breaks_off_leaves_nothing(
    error: Exception, torch_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "urlopen", broken)
    with pytest.raises(InputError, match="could not be downloaded"):
        torchvision_backbone("resnet18")
    assert list(torch_cache.iterdir()) == []


def test_a_download_of_other_bytes_is_refused_by_its_hash(
    torch_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"not the weights")
    monkeypatch.setattr(
        torch.hub, "urlopen", lambda *_, **__: urllib.request.urlopen(other.as_uri())
    )
    with pytest.raises(InputError, match="invalid hash value"):
        torchvision_backbone("resnet18")
    assert list(torch_cache.iterdir()) == []


def test_junk_in_torchs_cache_is_an_error_to_act_on(resnet18_file: Path, torch_cache: Path) -> None:
    torch_cache.mkdir(parents=True)
    path = torch_cache / FILE_NAMES["resnet18", "IMAGENET1K_V1"]
    whole = resnet18_file.read_bytes()
    for junk in (b"", b"<html>404</html>", b"PK\x03\x04junk", whole[: len(whole) // 2]):
        path.write_bytes(junk)
        with pytest.raises(InputError, match=r"f37072fd\.pth: not a file of weights"):
            torchvision_backbone("resnet18")


def test_neither_a_name_nor_a_file() -> None:
    with pytest.raises(InputError, match="weights=IMAGENET1K_V2: neither one of IMAGENET1K_V1"):
        torchvision_backbone("resnet18", weights="IMAGENET1K_V2")


def same_as_preset(backbone: Backbone, weights: Any) -> None:
    preset = weights.transforms()
    for image in IMAGES:
        assert torch.equal(backbone.preprocess(image), preset(image))


def test_preprocessing_is_that_of_the_weights(
    vgg16: dict[str, Backbone], torch_cache: Path
) -> None:
    same_as_preset(torchvision_backbone("resnet18", None), models.ResNet18_Weights.IMAGENET1K_V1)
    same_as_preset(vgg16["fc2"], models.VGG16_Weights.IMAGENET1K_V1)
    torch_cache.mkdir(parents=True)
    second = torch_cache / FILE_NAMES["resnet50", "IMAGENET1K_V2"]
    torch.save(models.resnet50().state_dict(), second)
    same_as_preset(
        torchvision_backbone("resnet50", "IMAGENET1K_V2"), models.ResNet50_Weights.IMAGENET1K_V2
    )
