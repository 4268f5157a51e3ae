"""The LightningModule: features, or images through a backbone, into the space of word vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric

from devise_exp.training.loop import Loss, check_finite

SCORE = "val/hit@1"


class DeviseModule(pl.LightningModule):
    """Trains a projection so that images fall near the vector of their class.

    Batches are (inputs, targets): inputs are features (B, feature_dim), or with a backbone images
    (B, 3, H, W); targets (B,) are rows of the class vectors.

    Args:
        projection: (B, feature_dim) -> (B, D).
        loss: From embeddings (B, D), targets (B,) and class vectors (S, D) to a scalar.
        class_vectors: (S, D) unit rows of the seen classes.
        optimizer: From parameter groups to an optimizer.
        scheduler: From an optimizer to a scheduler, stepped each epoch; None: a constant rate.
        backbone: Images to features (B, feature_dim), trained as well; its batch norms keep the
            statistics of the pretraining.
        backbone_lr_factor: Scales the learning rate for the backbone.

    Source:
        Frome et al., "DeViSE: A Deep Visual-Semantic Embedding Model", NIPS 2013.
    """

    class_vectors: Tensor

    def __init__(
        self,
        projection: nn.Module,
        loss: Loss,
        class_vectors: Tensor,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., Any] | None = None,
        backbone: nn.Module | None = None,
        backbone_lr_factor: float = 0.01,
    ) -> None:
        super().__init__()
        # Its batches are small: their statistics would drift from those of the features that the
        # projection was trained on. Lightning leaves each part in the mode it finds it in.
        self.backbone = None if backbone is None else backbone.eval()
        self.projection = projection
        self.loss = loss
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.backbone_lr_factor = backbone_lr_factor
        self.register_buffer("class_vectors", class_vectors)
        self.ranks = 1  # of this training, which rank 0 of several may do alone
        self.val_hit_at_1 = MeanMetric(distributed_available_fn=self._has_ranks)
        self.train_loss = MeanMetric(distributed_available_fn=self._has_ranks)
        self.losses: list[Tensor] = []  # of the epoch's steps: to log each takes longer than some

    def _has_ranks(self) -> bool:
        return self.ranks > 1

    def setup(self, stage: str) -> None:
        """Learn how many ranks count together."""
        self.ranks = self.trainer.world_size

    def forward(self, inputs: Tensor) -> Tensor:
        """Embed features or images as (B, D), not normalized."""
        features = inputs if self.backbone is None else self.backbone(inputs)
        embeddings: Tensor = self.projection(features)
        return embeddings

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Compute the loss of a batch."""
        inputs, targets = batch
        loss = self.loss(self(inputs), targets, self.class_vectors)
        check_finite(loss, f"at step {self.global_step}")
        self.losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start to count hits."""
        self.val_hit_at_1.reset()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Count the hits of a batch."""
        inputs, targets = batch
        embeddings = self(inputs).float()
        with torch.autocast(self.device.type, enabled=False):  # bf16 would tie near classes
            best = (F.normalize(embeddings) @ self.class_vectors.T).argmax(dim=1)
        self.val_hit_at_1.update((best == targets).float())

    def on_validation_epoch_end(self) -> None:
        """Log hit@1 and the mean loss over all ranks, each row counted once."""
        self.log(SCORE, self.val_hit_at_1.compute(), prog_bar=True)
        if self.losses:
            self.train_loss.update(torch.stack(self.losses))
            self.log("train/loss", self.train_loss.compute(), prog_bar=True)
            self.train_loss.reset()
            self.losses.clear()

    def configure_optimizers(self) -> Any:
        """Make the optimizer and the scheduler.

        Returns:
            An optimizer with a group for the projection and one for the backbone; with a scheduler
            Lightning's pair of lists.
        """
        groups = [{"params": list(self.projection.parameters())}]
        if self.backbone is not None:
            groups.append({"params": list(self.backbone.parameters())})
        optimizer = self.make_optimizer(groups)
        for group in optimizer.param_groups[1:]:
            group["lr"] *= self.backbone_lr_factor
        if self.make_scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": self.make_scheduler(optimizer), "interval": "epoch"}]
