"""Images to embed, and what published weights are called."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torchvision import models

from devise_exp.features.backbones.base import Backbone

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
