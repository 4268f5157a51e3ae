"""The one LightningModule: features, or images through a trainable backbone, into the space of
word vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from devise_exp.training.loop import Loss, check_finite, hits_of

SCORE = "val/hit@1"


class DeviseModule(pl.LightningModule):
    """Trains `projection` so that images fall near the vector of their class among the seen
    classes.

    class_vectors: (S, D) unit rows of the seen classes; batches are (inputs, targets), targets
    (B,) rows of class_vectors. Without `backbone` the inputs are features (B, feature_dim), with
    it images (B, 3, H, W). backbone_lr_factor scales the optimizer's learning rate for the
    backbone, whose batch norms keep the statistics of the pretraining.
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
        # map was trained on. Lightning leaves each part in the mode it finds it in.
        self.backbone = None if backbone is None else backbone.eval()
        self.projection = projection
        self.loss = loss
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.backbone_lr_factor = backbone_lr_factor
        self.register_buffer("class_vectors", class_vectors)
        self.hits = 0
        self.rows = 0
        self.losses: list[Tensor] = []  # of the epoch's steps: to log each takes longer than some

    def forward(self, inputs: Tensor) -> Tensor:
        """Features or images to embeddings (B, D), not normalised."""
        features = inputs if self.backbone is None else self.backbone(inputs)
        embeddings: Tensor = self.projection(features)
        return embeddings

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        inputs, targets = batch
        loss = self.loss(self(inputs), targets, self.class_vectors)
        check_finite(loss, f"at step {self.global_step}")
        self.losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        self.hits = self.rows = 0

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        inputs, targets = batch
        embeddings = self(inputs).float()
        with torch.autocast(self.device.type, enabled=False):  # bf16 would tie near classes
            self.hits += hits_of(embeddings, targets, self.class_vectors)
        self.rows += len(targets)

    def on_validation_epoch_end(self) -> None:
        # Every rank sees all validation rows, so the figure is exact and needs no exchange between
        # ranks.
        self.log(SCORE, self.hits / max(self.rows, 1), prog_bar=True)
        if self.losses:
            self.log("train/loss", torch.stack(self.losses).mean(), prog_bar=True)
            self.losses.clear()

    def configure_optimizers(self) -> Any:
        groups = [{"params": list(self.projection.parameters())}]
        if self.backbone is not None:
            groups.append({"params": list(self.backbone.parameters())})
        optimizer = self.make_optimizer(groups)
        for group in optimizer.param_groups[1:]:
            group["lr"] *= self.backbone_lr_factor
        if self.make_scheduler is None:
            return optimizer
        return [optimizer], [{"scheduler": self.make_scheduler(optimizer), "interval": "epoch"}]
