"""Pictures to vectors under a finished run: its backbone and projection, built from its folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image

from devise_exp.checkpoint import load_part
from devise_exp.embeddings import Classifier, embed_spaces
from devise_exp.errors import InputError
from devise_exp.run_folder import RunFolder

BATCH = 32


class Encoder:
    """Images to unit vectors in each space of a run; InputError where its weights are not whole."""

    def __init__(self, run: RunFolder, dim: int) -> None:
        checkpoint = run.checkpoints / "best.ckpt"
        self.backbone = instantiate(run.part("backbone"))
        self.projection = instantiate(run.part("projection"))(self.backbone.feature_dim, dim)
        load_part(self.projection, checkpoint, "projection")
        if self.backbone.trainable:
            load_part(self.backbone.network, checkpoint, "backbone")
        self.backbone.network.eval()
        self.spaces = run.spaces()
        self.classifier = None
        if "classifier" in self.spaces:
            saved = run.arrays("classifier")
            self.classifier = Classifier(saved["weight"], saved["bias"])

    def __call__(self, images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        """Space -> (N, D) float32 unit rows, in the order of the images."""
        if not images:
            raise InputError("no picture was given")
        network, preprocess = self.backbone.network, self.backbone.preprocess
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                batch = torch.stack([preprocess(image) for image in images[start : start + BATCH]])
                batch = batch.to(memory_format=torch.channels_last)
                parts.append(network(batch).float().numpy())
        return embed_spaces(self.spaces, self.projection, self.classifier, np.concatenate(parts))
