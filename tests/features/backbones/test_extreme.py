"""The transforms of an image of an extreme aspect take bounded memory and give the same pixels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from devise_exp.features.backbones.base import Augment, Preprocess

# Transforms images with 1 GiB of address space above what the first transforms took.
TRANSFORM = """
import resource
from pathlib import Path
import torch
from PIL import Image
from devise_exp.features.backbones.base import Augment, Preprocess
torch.set_num_threads(1)
preprocess = Preprocess(resize=256, crop=224)
transforms = (preprocess, Preprocess(resize=(224, 224), crop=224), Augment(preprocess))
[transform(Image.new("RGB", (300, 200))) for transform in transforms]
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for size in ((65000, 1), (1, 65000), (2000000, 3), (3, 2000000)):
    image = Image.new("RGB", size, "red")
    for transform in transforms:
        pixels = transform(image)
        assert pixels.shape == (3, 224, 224)
        assert pixels.flatten(1).std(1).max() < 1e-6
print("done")
"""


def whole(preprocess: Preprocess, image: Image.Image) -> np.ndarray:
    """As torchvision does: the whole image is resized, then cropped."""
    resize = preprocess.resize
    size = [resize] if isinstance(resize, int) else list(resize)
    resized = TF.resize(image, size, InterpolationMode(preprocess.interpolation))
    return np.asarray(TF.center_crop(resized, [preprocess.crop, preprocess.crop])).astype(int)


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(resize=256, crop=224),
        Preprocess(resize=235, crop=224, interpolation="bicubic"),
        Preprocess(resize=224, crop=224, interpolation="lanczos"),
        Preprocess(resize=50, crop=64, interpolation="bicubic"),  # padded
        Preprocess(resize=(64, 64), crop=64, interpolation="bicubic"),
        Preprocess(resize=(50, 70), crop=48),
    ],
    ids=str,
)
class TestPixels:
    @pytest.mark.parametrize(
        "size", [(3300, 100), (100, 3300), (2000, 60), (7, 231), (1, 40), (35, 1), (700, 20)]
    )
    def test_an_extreme_image_gives_what_the_whole_would(
        self, preprocess: Preprocess, size: tuple[int, int]
    ) -> None:
        image = noise(*size)
        difference = np.abs(preprocess.pixels(image).numpy() - whole(preprocess, image))
        assert difference.shape == (preprocess.crop, preprocess.crop, 3)
        assert difference.mean() < 0.5
        assert difference.max() <= 12

    @pytest.mark.parametrize("size", [(300, 200), (200, 301), (960, 30), (30, 960), (5, 5)])
    def test_an_ordinary_image_keeps_its_bits(
        self, preprocess: Preprocess, size: tuple[int, int]
    ) -> None:
        image = noise(*size)
        assert np.array_equal(preprocess.pixels(image).numpy(), whole(preprocess, image))


def test_memory_does_not_grow_with_the_aspect() -> None:
    command = [sys.executable, "-c", TRANSFORM]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stdout == "done\n", answer.stderr


def test_a_line_is_augmented() -> None:
    torch.manual_seed(0)
    augment = Augment(Preprocess(resize=256, crop=224))
    assert augment(Image.new("RGB", (65_000, 1), "red")).shape == (3, 224, 224)
