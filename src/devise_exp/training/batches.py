"""Batches of rows, and the order they come in, which (seed, epoch) alone decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from devise_exp.methods.task import GuardedFeatures

Inputs = Callable[[np.ndarray], Tensor]


@dataclass(frozen=True)
class FeatureInputs:
    """Inputs from a feature bank: row indices (B,) -> (B, feature_dim) float32."""

    features: GuardedFeatures

    def __call__(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.features[rows]).float()  # numpy widens float16 far slower


class RowBatches(Dataset):
    """A batch of row indices (B,) -> (inputs (B, ...), targets (B,)); a batch is one fetch."""

    def __init__(self, inputs: Inputs, rows: np.ndarray, targets: np.ndarray) -> None:
        self.inputs, self.rows, self.targets = inputs, rows, torch.from_numpy(targets)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        return self.inputs(self.rows[batch]), self.targets[batch]


class SeededBatchSampler(Sampler):
    """Batches in an order that (seed, epoch) alone decide, so a resumed run sees what it would
    have seen.

    Each of `world` ranks takes its own equal share of the epoch's permutation; at most world - 1
    rows sit out.
    """

    def __init__(self, n: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.n, self.batch_size, self.seed, self.rank, self.world = n, batch_size, seed, rank, world
        self.epoch = 0
        self.generator = torch.Generator()  # for the loader, to seed its processes from

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of every epoch, but of a resumed one too late."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._starts())

    def _starts(self) -> range:
        """Where batches begin in a rank's own rows; a last row alone, of which a batch norm can
        make nothing, joins the batch before it.
        """
        own = self.n // self.world
        return range(0, own - (own > 1 < self.batch_size), self.batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        self.generator.manual_seed(epoch_seed(self.seed, self.epoch, self.rank))
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n)
        own = order[: self.n // self.world * self.world][self.rank :: self.world]
        bounds = [*self._starts(), len(own)]
        return (own[i:j] for i, j in pairwise(bounds))


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """What everything random in an epoch starts from, the same after a resume."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0] >> 1)


def in_order(n: int) -> list[np.ndarray]:
    """All of n rows, at most 1,024 at once."""
    return np.array_split(np.arange(n), -(-n // 1024))
