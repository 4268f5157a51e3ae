"""Inputs of a training in batches, in an order that (seed, epoch) alone decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from devise_exp.core.errors import InputError
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.splits import Split
from devise_exp.features.backbones.base import Augment, Backbone, Preprocess
from devise_exp.methods.task import GuardedFeatures, allowed_rows, rows_to_learn_from

Inputs = Callable[[np.ndarray], Tensor]  # row indices (B,) -> (B, ...)


@dataclass(frozen=True)
class FeatureInputs:
    """Inputs from a feature bank: row indices (B,) -> (B, feature_dim) float32.

    Attributes:
        features: (N, feature_dim), of which only allowed rows can be read.
    """

    features: GuardedFeatures

    def __call__(self, rows: np.ndarray) -> Tensor:
        """Return the features (B, feature_dim) of rows (B,)."""
        return torch.from_numpy(self.features[rows]).float()  # numpy widens float16 far slower


@dataclass(frozen=True)
class ImageInputs:
    """Inputs from images: row indices (B,) -> (B, 3, H, W).

    Attributes:
        images: (N,) images, of which only allowed rows can be read.
        open: (N,) bool, the rows that can be read.
        transform: From an image to (3, H, W).
    """

    images: Sequence[Image.Image]
    open: np.ndarray
    transform: Preprocess | Augment

    def __call__(self, rows: np.ndarray) -> Tensor:
        """Return the transformed images (B, 3, H, W) of rows (B,)."""
        rows = allowed_rows(rows, self.open)
        return torch.stack([self.transform(self.images[row]) for row in rows])


def image_inputs(
    dataset: ImageDataset, split: Split, backbone: Backbone
) -> tuple[ImageInputs, ImageInputs]:
    """Make the inputs of a trainable backbone.

    Args:
        dataset: The images.
        split: Says which rows may be read: those to train and to validate on.
        backbone: Gives the preprocessing.

    Returns:
        Augmented images to train on, and plain ones to validate on.

    Raises:
        InputError: The dataset has no images.
    """
    if dataset.images is None:
        raise InputError(
            f"backbone.trainable=true trains on images, and those of {dataset.name} are missing: "
            "give data.root=FOLDER"
        )
    images, is_open = dataset.images, rows_to_learn_from(split, len(dataset.rows))
    preprocess = backbone.preprocess
    return ImageInputs(images, is_open, Augment(preprocess)), ImageInputs(
        images, is_open, preprocess
    )


class RowBatches(Dataset):
    """A batch of indices (B,) -> (inputs (B, ...), targets (B,)); a batch is one fetch.

    Args:
        inputs: From rows of the dataset to inputs.
        rows: (M,) rows of the dataset that take part.
        targets: (M,) their classes.
    """

    def __init__(self, inputs: Inputs, rows: np.ndarray, targets: np.ndarray) -> None:
        self.inputs, self.rows, self.targets = inputs, rows, torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        return self.inputs(self.rows[batch]), self.targets[batch]


class SeededBatchSampler(Sampler):
    """Batches in an order that (seed, epoch) alone decide, the same after a resume.

    Every rank takes an equal share of the epoch's permutation; at most world_size - 1 rows are
    left out.

    Args:
        n: Number of rows.
        batch_size: Rows in a batch.
        seed: The run's seed.
        rank: Number of this process.
        world_size: Number of processes.
    """

    def __init__(
        self, n: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self.generator = torch.Generator()  # for the loader, to seed its processes from

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning does so as an epoch starts, but of a resumed one too late.

        Args:
            epoch: Number of the epoch.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._starts())

    def _starts(self) -> range:
        """List the starts of the batches in a rank's share.

        A single last row, which batch norm cannot take, joins the batch before it.
        """
        share = self.n // self.world_size
        return range(0, share - (share > 1 < self.batch_size), self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        self.generator.manual_seed(epoch_seed(self.seed, self.epoch, self.rank))
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n)
        share = order[: self.n // self.world_size * self.world_size][self.rank :: self.world_size]
        bounds = [*self._starts(), len(share)]
        return (share[i:j] for i, j in pairwise(bounds))


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Derive the seed of everything random in an epoch, the same after a resume.

    Args:
        seed: The run's seed.
        epoch: Number of the epoch.
        rank: Number of the process.

    Returns:
        A seed below 2 ** 63.
    """
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0] >> 1)


def ordered_batches(n: int, rank: int = 0, world_size: int = 1) -> list[np.ndarray]:
    """Split rows into batches of at most 1,024, in order, and take those of a rank.

    All ranks get as many batches: torch's DDP exchanges buffers at each of them.

    Args:
        n: Number of rows.
        rank: Number of the process.
        world_size: Number of processes.

    Returns:
        Row indices of every batch of the rank. Each row is in one batch of one rank; if there are
        fewer rows than ranks, every rank gets all of them.

    Example:
        >>> ordered_batches(5, rank=1, world_size=2)
        [array([3, 4])]
    """
    if n < world_size:
        rank, world_size = 0, 1
    batches = np.array_split(np.arange(n), -(-n // (1024 * world_size)) * world_size)
    return batches[rank::world_size]
