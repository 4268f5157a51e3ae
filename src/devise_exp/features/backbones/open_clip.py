"""Image towers of CLIP, SigLIP and their kin, by open_clip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.core.open_clip_source import OpenClipSource, open_clip_source
from devise_exp.features.backbones.base import CAPTIONS, Backbone, Preprocess


def open_clip_backbone(
    pretrained: str | None,
    name: str | None = None,
    preprocess: str | Mapping[str, Any] | None = None,
    trainable: bool = False,
) -> Backbone:
    """Build the image tower of a model of open_clip; its features are in the joint space.

    In a config: `backbone=open_clip backbone.name=ViT-B-32 backbone.pretrained=laion2b_s34b_b79k`,
    or `backbone=open_clip backbone.pretrained=local-dir:FOLDER` (conf/backbone/open_clip.yaml).

    Args:
        pretrained: A tag of published weights, a file, "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
        name: The network, for a tag or a file; a folder has its own.
        preprocess: For a bare file: a tag of the network that was trained alike, or mean, std,
            interpolation and resize_mode.
        trainable: Whether training changes the image tower too.

    Returns:
        The backbone; features are what the tower gives, not normalized.

    Raises:
        InputError: The model cannot be had, or nothing says how images are prepared.

    Source:
        Radford et al., ICML 2021 (CLIP); Zhai et al., ICCV 2023 (SigLIP); Cherti et al., CVPR 2023
        (OpenCLIP).
    """
    source = open_clip_source("backbone", name, pretrained, preprocess)
    model = source.load()
    tower = ImageTower(model.visual)
    preparation = _preprocess(source, getattr(model.visual, "image_size", None))
    return Backbone(
        name=f"open_clip/{source.title}",
        build=lambda: tower,
        feature_dim=_measured_dim(tower, preparation.crop, source),
        preprocess=preparation,
        categories=None,
        trainable=trainable,
        unpublished=CAPTIONS,
        text_tower=source,
    )


class ImageTower(nn.Module):
    """The image tower alone: one row for each image, without tokens beside it."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, images: Tensor) -> Tensor:
        """Embed normalized images (B, 3, crop, crop) as (B, D) rows."""
        features = self.visual(images)
        pooled: Tensor = features[0] if isinstance(features, tuple) else features  # CoCa has tokens
        return pooled


def _measured_dim(tower: nn.Module, size: int, source: OpenClipSource) -> int:
    """Length of a feature: the tower is run once."""
    tower.eval()
    with torch.inference_mode():
        features = tower(torch.zeros(1, 3, size, size))
    tower.train()
    if features.ndim != 2:
        raise InputError(f"{source.title}: its image tower gives no single vector: choose another")
    return int(features.shape[1])


def _preprocess(source: OpenClipSource, size: Any) -> Preprocess:
    """How open_clip prepares images for this model."""
    sides = {*size} if isinstance(size, tuple | list) else {size}
    side = sides.pop()
    if sides or type(side) is not int or side < 1:
        raise InputError(f"{source.title}: takes images of {size} pixels: choose a square network")
    images = source.images
    if images["resize_mode"] not in ("shortest", "squash"):
        raise InputError(
            f"{source.title}: prepares images by resize_mode={images['resize_mode']}: only "
            "shortest and squash are supported"
        )
    mean, std = (_channels(source, key, images[key]) for key in ("mean", "std"))
    interpolation = str(images["interpolation"])
    return Preprocess(
        resize=side if images["resize_mode"] == "shortest" else (side, side),
        crop=side,
        mean=mean,
        std=std,
        # As open_clip does: of a random one, what it evaluates by.
        interpolation="bilinear" if interpolation == "bilinear" else "bicubic",
    )


def _channels(source: OpenClipSource, key: str, value: Any) -> tuple[float, ...]:
    """Three numbers, one for each channel."""
    values = [value] * 3 if isinstance(value, int | float) else value
    try:
        numbers = tuple(float(number) for number in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or (key == "std" and 0 in numbers):
        raise InputError(
            f"{source.title}: {key}={value} of its preprocessing is no number for each of three "
            "channels: correct it"
        )
    return numbers
