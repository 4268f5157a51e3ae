"""The trained model of a run as one module: pixels to a unit row of the space of its labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devise_exp.core.vectors import normalize_rows
from devise_exp.methods.prior import Prior
from devise_exp.methods.word_classifiers import ClassifierShare
from devise_exp.search.encoder import SavedModel


class WholeModel(nn.Module):
    """Network, projection and additions, as `TrainedProjection` applies them.

    Args:
        saved: The model of a finished run.
    """

    def __init__(self, saved: SavedModel) -> None:
        super().__init__()
        self.network = saved.backbone.network
        self.projection = saved.trained.projection
        prior = saved.trained.prior
        self.prior = None if prior is None or prior.strength == 0 else PriorModule(prior)
        share = saved.trained.classifiers
        self.classifiers = None if share is None else ShareModule(share)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed normalized images (B, 3, crop, crop) as (B, D) unit rows."""
        features = self.network(pixels)
        rows = F.normalize(self.projection(features))
        if self.prior is not None:
            rows = self.prior(rows, features)
        return rows if self.classifiers is None else self.classifiers(rows, features)


class PriorModule(nn.Module):
    """A prior in torch, as `Prior.apply` has it in numpy.

    Args:
        prior: The prior.
    """

    weight: Tensor
    bias: Tensor
    away: Tensor

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        classifier = prior.pretraining
        away = normalize_rows(classifier.vectors - classifier.vectors.mean(axis=0))
        for name, values in (
            ("weight", classifier.weight), ("bias", classifier.bias), ("away", away),
        ):  # fmt: skip
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))
        self.strength, self.temperature = prior.strength, prior.temperature
        self.top = min(prior.top, len(away))

    def forward(self, rows: Tensor, features: Tensor) -> Tensor:
        """Move unit rows (B, D) of images towards the prior; features are (B, feature_dim)."""
        shares = ((features @ self.weight.T + self.bias) / self.temperature).softmax(dim=1)
        floor = shares.topk(self.top, dim=1).values[:, -1:]
        mixed = torch.where(shares >= floor, shares, torch.zeros_like(shares)) @ self.away
        return F.normalize(rows + self.strength * F.normalize(mixed))


class ShareModule(nn.Module):
    """Predicted classifiers in torch, as `ClassifierShare.images` has them in numpy.

    Args:
        share: The classifiers.
    """

    centre: Tensor

    def __init__(self, share: ClassifierShare) -> None:
        super().__init__()
        centre = torch.tensor(share.classifiers.image_centre, dtype=torch.float32)
        self.register_buffer("centre", centre)
        self.share = share.share

    def forward(self, rows: Tensor, features: Tensor) -> Tensor:
        """Put unit rows (B, D) of images and their features (B, d) side by side."""
        away = F.normalize(features - self.centre)
        return torch.cat([rows * (1 - self.share) ** 0.5, away * self.share**0.5], dim=1)
