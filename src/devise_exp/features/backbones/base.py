"""Backbones: from an image to one feature vector, by a pretrained network and its preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from devise_exp.core.files import fingerprint
from devise_exp.core.open_clip_source import OpenClipSource
from devise_exp.features.backbones.extreme import is_extreme, resized_centre, resized_exactly
from devise_exp.features.backbones.resizing import FILTERS, resized_and_cropped

# torchvision and timm are imported only where an image is transformed or a network is built: both
# take seconds and 230 MB, which a run on a feature bank and each worker of a sweep do without.

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Of CLIP and its kin, trained on captions of images that nobody has published in full.
CAPTIONS = "pretraining captions unpublished: overlap cannot be ruled out"


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Resize, crop the centre, normalize: a PIL image to a (3, crop, crop) tensor.

    The repr of this class is part of every feature bank's key: its name, the names of its fields
    and their order decide whether shipped features are found.

    Attributes:
        resize: Length of the shorter side in pixels; or (height, width), which ignores the aspect.
        crop: Side of the central square in pixels.
        mean: Mean of each channel, on the scale from 0 to 1.
        std: Standard deviation of each channel.
        interpolation: A name of torchvision's `InterpolationMode`.
    """

    resize: int | tuple[int, int]
    crop: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image) -> Tensor:
        """Turn an image into a normalized tensor (3, H, W)."""
        return self.normalize(self.pixels(image))

    def pixels(self, image: Image.Image) -> Tensor:
        """Bring an image to the network's size.

        Args:
            image: An RGB image of any size.

        Returns:
            (crop, crop, 3) uint8.
        """
        extreme = is_extreme(image)
        resample = FILTERS.get(self.interpolation)
        shorter = self.resize if isinstance(self.resize, int) else 0
        if resample is not None and self.crop <= shorter and image.mode == "RGB" and not extreme:
            return _to_tensor(resized_and_cropped(image, shorter, self.crop, resample))
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as TF

        mode = InterpolationMode(self.interpolation)
        if extreme:
            resized = self._resized_extreme(image)
        else:
            size = [self.resize] if isinstance(self.resize, int) else list(self.resize)
            resized = TF.resize(image, size, mode)
        return _to_tensor(TF.center_crop(resized, [self.crop, self.crop]))

    def _resized_extreme(self, image: Image.Image) -> Image.Image:
        """Resize what the crop will keep, in memory that the aspect does not raise."""
        resample = Image.Resampling[self.interpolation.upper().partition("-")[0]]
        if isinstance(self.resize, int):
            return resized_centre(image, self.resize, self.crop, resample)
        return resized_exactly(image, *self.resize, resample)

    @property
    def shorter_side(self) -> int:
        """Shorter side of a resized image in pixels."""
        return self.resize if isinstance(self.resize, int) else min(self.resize)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Scale pixels to what the network takes.

        Args:
            pixels: (..., height, width, 3) uint8.

        Returns:
            (..., 3, height, width) float32.
        """
        mean, std = (
            torch.tensor(values, device=pixels.device).view(3, 1, 1)
            for values in (self.mean, self.std)
        )
        return (pixels.movedim(-1, -3).float() / 255 - mean) / std


@dataclass(frozen=True)
class Augment:
    """A random crop, mirrored half of the time, for training on images.

    The crop has 35 to 100 % of the area and an aspect of 3/4 to 4/3.

    Attributes:
        preprocess: Gives the size, the interpolation and the normalization.
    """

    preprocess: Preprocess

    def __call__(self, image: Image.Image) -> Tensor:
        """Turn an image into a randomly cropped and flipped, normalized tensor (3, H, W)."""
        from torchvision.transforms import InterpolationMode, RandomResizedCrop
        from torchvision.transforms import functional as TF

        top, left, height, width = RandomResizedCrop.get_params(image, [0.35, 1.0], [3 / 4, 4 / 3])
        size = [self.preprocess.crop, self.preprocess.crop]
        mode = InterpolationMode(self.preprocess.interpolation)
        crop = TF.resized_crop(image, top, left, height, width, size, mode)
        if torch.rand(()) < 0.5:
            crop = TF.hflip(crop)
        return self.preprocess.normalize(_to_tensor(crop))


def _to_tensor(image: Image.Image) -> Tensor:
    """(height, width, 3) uint8."""
    return torch.from_numpy(np.array(image))


class Head(NamedTuple):
    """Classification layer of the pretraining: features @ weight.T + bias are its logits.

    Attributes:
        weight: (K, feature_dim).
        bias: (K,).
    """

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network without its classification layer.

    Any function that returns a Backbone can be the config's backbone:

        backbone:
          _target_: my_package.my_backbone
          trainable: false

    Attributes:
        name: Name of the network and the layer; part of the feature bank's key.
        build: Makes the network, (B, 3, crop, crop) -> (B, feature_dim), when first needed.
        feature_dim: Length of a feature vector.
        preprocess: From an image to the network's input.
        categories: Pretraining classes, one "name, synonym, ..." for each; () for random weights,
            None if nobody published them.
        trainable: Whether training changes the network too.
        head: The layer that was cut off, if the features are its input.
        tensors: State of the network in its order, if it is known before the network is built.
        unpublished: Why no overlap can be ruled out, where `categories` is None; "" for unknown.
        text_tower: The model whose text tower shares the space of the features; None if none does.
    """

    name: str
    build: Callable[[], nn.Module]
    feature_dim: int
    preprocess: Preprocess
    categories: tuple[str, ...] | None
    trainable: bool = False
    head: Head | None = None
    tensors: Sequence[Tensor] | None = None
    unpublished: str = ""
    text_tower: OpenClipSource | None = None

    @cached_property
    def network(self) -> nn.Module:
        """The network, built once."""
        return self.build()

    @property
    def fingerprint(self) -> str:
        """Hash of what decides the features: every tensor as it is now, and the preprocessing."""
        tensors = None if "network" in vars(self) else self.tensors
        values = _tensor_bytes(tensors or self.network.state_dict().values())
        # Tensors do not tell activations or numbers of heads apart, which the settings decide.
        settings = () if self.text_tower is None else (self.text_tower.fingerprint,)
        return fingerprint(repr((self.name, self.preprocess)), values, *settings)


def _tensor_bytes(tensors: Iterable[Tensor]) -> Iterator[str | bytes]:
    """Yield the shape, type and values of every tensor."""
    for tensor in tensors:
        yield repr((tuple(tensor.shape), str(tensor.dtype)))
        yield tensor.detach().cpu().contiguous().numpy().tobytes()
