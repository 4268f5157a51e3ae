"""Backbones: the augmentation, and a fingerprint of content."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from devise_exp.features.backbones.base import Augment, Preprocess
from devise_exp.features.backbones.timm import timm_backbone


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
