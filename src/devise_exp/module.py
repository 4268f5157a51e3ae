"""The one LightningModule: features, or images through a trainable backbone, into the space of
word vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from devise_exp.errors import InputError

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
SCORE = "val/hit@1"


class DeviseModule(pl.LightningModule):
    """Trains `projection` so that images fall near the vector of their class among the seen
    classes.

    class_vectors: (S, D) unit rows of the seen classes; batches are (inputs, targets), targets
    (B,) rows of class_vectors. Without `backbone` the inputs are features (B, feature_dim), with
    it images (B, 3, H, W). backbone_lr_factor scales the optimizer's learning rate for the
    backbone.
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
        self.backbone = backbone
        self.projection = projection
        self.loss = loss
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.backbone_lr_factor = backbone_lr_factor
        self.register_buffer("class_vectors", class_vectors)
        self.hits = 0
        self.rows = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Features or images to embeddings (B, D), not normalised."""
        features = inputs if self.backbone is None else self.backbone(inputs)
        embeddings: Tensor = self.projection(features)
        return embeddings

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        inputs, targets = batch
        loss = self.loss(self(inputs), targets, self.class_vectors)
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss became {loss.item()} at step {self.global_step}: lower optimizer.lr, "
                "or set trainer.gradient_clip_val=1"
            )
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        self.hits = self.rows = 0

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        inputs, targets = batch
        embeddings = self(inputs).float()
        with torch.autocast(self.device.type, enabled=False):  # bf16 would tie near classes
            similarity = F.normalize(embeddings) @ self.class_vectors.T  # (B, S)
        self.hits += int((similarity.argmax(dim=1) == targets).sum())
        self.rows += len(targets)

    def on_validation_epoch_end(self) -> None:
        # Every rank sees all validation rows, so the figure is exact and needs no exchange between
        # ranks.
        self.log(SCORE, self.hits / max(self.rows, 1), prog_bar=True)

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


def load_weights(module: DeviseModule, checkpoint: Path) -> dict[str, Any]:
    """Load a checkpoint's weights into `module` and return all that it holds; nothing in the file
    is executed.

    Raises InputError where the file is no checkpoint or its tensors have other shapes than the
    module's.
    """
    content = read_checkpoint(checkpoint)
    state = content["state_dict"]
    own = module.state_dict()
    wrong = [
        f"{name} is {tuple(state[name].shape) if name in state else 'missing'}, not "
        f"{tuple(own[name].shape)}"
        for name in own
        if name not in state or state[name].shape != own[name].shape
    ]
    wrong += [f"{name} belongs to another model" for name in state if name not in own]
    if wrong:
        raise InputError(
            f"{checkpoint}: a checkpoint of another shape ({'; '.join(wrong[:2])}): give one of "
            "the same backbone, projection, word vectors and split"
        )
    module.load_state_dict(state)
    return content


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """A Lightning checkpoint as plain tensors and numbers (weights_only)."""
    try:
        content: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{checkpoint}: no such checkpoint") from error
    except OSError:
        raise
    except Exception as error:  # damaged bytes make torch raise nearly anything
        raise InputError(
            f"{checkpoint}: damaged, or not a checkpoint that torch loads safely"
        ) from error
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise InputError(f"{checkpoint}: holds no Lightning checkpoint")
    return dict(content)
