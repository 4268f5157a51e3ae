"""Random crops for training on images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from devise_exp.data.dataset import ImageDataset
from devise_exp.features.backbones.base import Augment, Preprocess

SMALL = Preprocess(resize=36, crop=32)


def test_augmented_images_are_random_crops_normalized_alike(dataset: ImageDataset) -> None:
    assert dataset.images is not None
    image = dataset.images[0]
    transform = Augment(SMALL)

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return transform(image)

    assert drawn(0).shape == (3, 32, 32) == SMALL(image).shape
    assert torch.equal(drawn(0), drawn(0))
    assert len({drawn(seed).numpy().tobytes() for seed in range(8)}) > 4
    # An image of one colour with noise has the same channel means in any part of it.
    many = torch.stack([drawn(seed) for seed in range(8)])
    torch.testing.assert_close(many.mean((0, 2, 3)), SMALL(image).mean((1, 2)), atol=0.05, rtol=0)


def test_half_of_the_augmented_images_are_mirrored() -> None:
    from PIL import Image

    ramp = Image.fromarray(np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1))).convert("RGB")
    torch.manual_seed(0)
    rising = [bool((t := Augment(SMALL)(ramp))[0, 0, -1] > t[0, 0, 0]) for _ in range(200)]
    assert 70 < sum(rising) < 130
