"""Images of a dataset as pixels at the network's size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.images import ImageFiles
from devise_exp.features.backbones.base import Backbone

SAMPLE_SIZE = 8
HEADERS = 32  # of images that are asked for their size


class PixelDataset(Dataset):
    """Row index -> pixels (crop, crop, 3) uint8, or the reason why the image cannot be read.

    Args:
        dataset: A dataset with images.
        backbone: Gives the preprocessing.
        fast: Decode a large JPEG at a reduced size, at least twice what is needed.
    """

    def __init__(self, dataset: ImageDataset, backbone: Backbone, fast: bool) -> None:
        assert dataset.images is not None
        self.images, self.rows = dataset.images, dataset.rows
        self.preprocess = backbone.preprocess
        if fast and isinstance(self.images, ImageFiles):
            self.images = self.images.reduced(2 * self.preprocess.shorter_side)

    @property
    def is_faster(self) -> bool:
        """Whether some of a sample of the images are decoded at a reduced size."""
        images = self.images
        indices = _evenly(len(self), HEADERS)
        return isinstance(images, ImageFiles) and any(map(images.is_reduced, indices))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor | str:
        try:
            image = self.images[index]
        except MemoryError:
            raise
        except Exception as error:  # decoders meet damaged bytes with nearly any exception
            # Text, for an error that leaves a loader's process brings its traceback along.
            return f"{self.rows[index]}: {' '.join(str(error).split())}"
        return self.preprocess.pixels(image)


def collate_pixels(items: list[Tensor | str]) -> Tensor | str:
    """Stack the items of a batch.

    Args:
        items: B items of a PixelDataset.

    Returns:
        (B, crop, crop, 3) uint8; or the reason why the first unreadable image cannot be read.
    """
    pixels = [item for item in items if isinstance(item, Tensor)]
    reasons = [item for item in items if isinstance(item, str)]
    return reasons[0] if reasons else torch.stack(pixels)


def checked_pixels(batch: Tensor | str) -> Tensor:
    """Make sure that all images of a batch were read.

    Args:
        batch: What `collate_pixels` returned.

    Returns:
        (B, crop, crop, 3) uint8.

    Raises:
        InputError: An image could not be read.
    """
    if isinstance(batch, str):
        raise InputError(f"an image can no longer be read: {batch}: start again to skip it")
    return batch


def sample_pixels(pixels: PixelDataset) -> Tensor:
    """Take some images, evenly from the first to the last, to compare engines by.

    Args:
        pixels: At least one image.

    Returns:
        (B, crop, crop, 3) uint8, B at most SAMPLE_SIZE.
    """
    return checked_pixels(collate_pixels([pixels[i] for i in _evenly(len(pixels), SAMPLE_SIZE)]))


def _evenly(n: int, size: int) -> list[int]:
    """Indices of a sample of at most `size` of n, from the first to the last."""
    indices: list[int] = np.linspace(0, n - 1, min(size, n), dtype=int).tolist()
    return indices
