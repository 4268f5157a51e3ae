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
        network: Pixels to features.
        projection: Features to the space of word vectors.
        prior: Moves the projected rows; None for no prior.
        classifiers: Puts features beside the projected rows; None for no predicted classifiers.
    """

    def __init__(
        self,
        network: nn.Module,
        projection: nn.Module,
        prior: PriorModule | None,
        classifiers: ShareModule | None,
    ) -> None:
        super().__init__()
        self.network, self.projection = network, projection
        self.prior, self.classifiers = prior, classifiers
        self.eval()

    @classmethod
    def of(cls, saved: SavedModel) -> WholeModel:
        """Make the module of the model of a finished run.

        Args:
            saved: The model.

        Returns:
            The module.
        """
        trained = saved.trained
        prior, share = trained.prior, trained.classifiers
        return cls(
            saved.backbone.network,
            trained.projection,
            None if prior is None or prior.strength == 0 else PriorModule.of(prior),
            None if share is None else ShareModule.of(share),
        )

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
        weight: (K, feature_dim) weights of the pretraining's classifier.
        bias: (K,) its biases.
        away: (K, D) unit rows, the vectors of its classes about their centre.
        strength: As of `Prior`, like what follows.
        temperature: Likewise.
        top: Likewise.
    """

    weight: Tensor
    bias: Tensor
    away: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        away: Tensor,
        *,
        strength: float,
        temperature: float,
        top: int,
    ) -> None:
        super().__init__()
        for name, values in (("weight", weight), ("bias", bias), ("away", away)):
            self.register_buffer(name, values)
        self.strength, self.temperature, self.top = strength, temperature, min(top, len(away))

    @classmethod
    def of(cls, prior: Prior) -> PriorModule:
        """Make the module of a prior.

        Args:
            prior: The prior.

        Returns:
            The module.
        """
        classifier = prior.pretraining
        away = normalize_rows(classifier.vectors - classifier.vectors.mean(axis=0))
        tensors = (
            torch.tensor(values, dtype=torch.float32)
            for values in (classifier.weight, classifier.bias, away)
        )
        return cls(*tensors, strength=prior.strength, temperature=prior.temperature, top=prior.top)

    def forward(self, rows: Tensor, features: Tensor) -> Tensor:
        """Move unit rows (B, D) of images towards the prior; features are (B, feature_dim)."""
        shares = ((features @ self.weight.T + self.bias) / self.temperature).softmax(dim=1)
        floor = shares.topk(self.top, dim=1).values[:, -1:]
        mixed = torch.where(shares >= floor, shares, torch.zeros_like(shares)) @ self.away
        return F.normalize(rows + self.strength * F.normalize(mixed))


class ShareModule(nn.Module):
    """Predicted classifiers in torch, as `ClassifierShare.images` has them in numpy.

    Args:
        centre: (feature_dim,) the point about which features are compared.
        share: As of `ClassifierShare`.
    """

    centre: Tensor

    def __init__(self, centre: Tensor, share: float) -> None:
        super().__init__()
        # Not in the state: an export has it among all arrays of the classifiers.
        self.register_buffer("centre", centre, persistent=False)
        self.share = share

    @classmethod
    def of(cls, share: ClassifierShare) -> ShareModule:
        """Make the module of predicted classifiers.

        Args:
            share: The classifiers.

        Returns:
            The module.
        """
        centre = torch.tensor(share.classifiers.image_centre, dtype=torch.float32)
        return cls(centre, share.share)

    def forward(self, rows: Tensor, features: Tensor) -> Tensor:
        """Put unit rows (B, D) of images and their features (B, d) side by side."""
        away = F.normalize(features - self.centre)
        return torch.cat([rows * (1 - self.share) ** 0.5, away * self.share**0.5], dim=1)
