"""Resizing for the crop alone: the bits of torchvision, which resizes the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from devise_exp.features.backbones.base import Preprocess
from devise_exp.features.backbones.extreme import EXTREME
from devise_exp.features.backbones.resizing import FILTERS, resized_size


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def by_torchvision(image: Image.Image, shorter: int, crop: int, interpolation: str) -> np.ndarray:
    resized = TF.resize(image, [shorter], InterpolationMode(interpolation))
    return np.asarray(TF.center_crop(resized, [crop, crop]))


SIZES = [(256, 224), (232, 224), (224, 224), (292, 260), (272, 240), (40, 32), (64, 1), (255, 224)]


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 640),
    st.integers(1, 640),
    st.sampled_from(SIZES),
    st.sampled_from([*FILTERS, "nearest"]),
)
def test_the_crop_has_the_bits_of_the_whole_resized(
    width: int, height: int, sizes: tuple[int, int], interpolation: str
) -> None:
    if max(width, height) > EXTREME * min(width, height):
        return
    (shorter, crop), image = sizes, noise(width, height)
    preprocess = Preprocess(resize=shorter, crop=crop, interpolation=interpolation)
    expected = by_torchvision(image, shorter, crop, interpolation)
    assert np.array_equal(preprocess.pixels(image).numpy(), expected)


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (256, 384), (1600, 1200)])
def test_sizes_whose_crop_begins_exactly(size: tuple[int, int], interpolation: str) -> None:
    image = noise(*size)
    pixels = Preprocess(resize=256, crop=224, interpolation=interpolation).pixels(image)
    assert np.array_equal(pixels.numpy(), by_torchvision(image, 256, 224, interpolation))


def test_the_longer_side_is_rounded_down() -> None:
    assert resized_size((300, 225), 256) == (341, 256)
    assert resized_size((225, 300), 256) == (256, 341)
    assert resized_size((7, 7), 256) == (256, 256)
