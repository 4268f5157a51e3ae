"""Backbones: an image to one feature vector, with the weights' own preprocessing and pretraining
classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.core.files import fingerprint

# torchvision and timm are imported where a picture or a network is at hand: the two cost seconds
# and 230 MB, which a run on a feature bank and each worker of a sweep can do without.

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


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
        known = None if "network" in vars(self) else self.tensors
        tensors = known or self.network.state_dict().values()
        return fingerprint(repr((self.name, self.preprocess)), _tensor_bytes(tensors))


def _tensor_bytes(tensors: Iterable[Tensor]) -> Iterator[str | bytes]:
    """Yield the shape, type and values of every tensor."""
    for tensor in tensors:
        yield repr((tuple(tensor.shape), str(tensor.dtype)))
        yield tensor.detach().cpu().contiguous().numpy().tobytes()


def imagenet1k_names() -> tuple[str, ...]:
    """Of the 1,000 classes, one name each, as torchvision has them, in the order of their wnids."""
    file = resources.files("devise_exp.features.backbones") / "assets" / "imagenet1k_names.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def head_of(layer: Any, feature_dim: int) -> Head | None:
    """A linear layer that is fed the features as they are; None for any other."""
    if not isinstance(layer, nn.Linear) or layer.in_features != feature_dim or layer.bias is None:
        return None
    return Head(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())


def state_from_file(path: str, names: tuple[str, ...]) -> dict[str, Tensor]:
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
