"""Images to vectors under a finished run: its backbone and projection, built from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.methods.embedding import Classifier, TrainedProjection, embed_spaces
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import trusted_group
from devise_exp.training.checkpoint import load_part

BATCH = 32
DECODERS = 2  # threads that open images; two keep a network on a processor busy


class ImageEncoder:
    """Images to unit vectors in every space of a run.

    Args:
        run: The run folder.
        centre: (D,) centre about which images are compared in the trained space.
    """

    def __init__(self, run: RunFolder, centre: np.ndarray) -> None:
        checkpoint = run.checkpoints / "best.ckpt"
        config = run.config()
        self.backbone = instantiate(trusted_group(config, "backbone", run.path))
        with torch.device("meta"):  # sizes are claims of a config until the weights have them
            self.projection = instantiate(trusted_group(config, "projection", run.path))(
                self.backbone.feature_dim, len(centre)
            )
        self.centre = centre
        load_part(self.projection, checkpoint, "projection")
        self.trained = TrainedProjection(self.projection, run.prior())
        if self.backbone.trainable:
            load_part(self.backbone.network, checkpoint, "backbone")
        self.backbone.network.eval()
        self.spaces = run.spaces()
        self.classifier = None
        if "classifier" in self.spaces:
            self.classifier = Classifier(*run.classifier())

    def __call__(self, images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        """Embed images.

        Args:
            images: N images.

        Returns:
            Space -> (N, D) float32 unit rows, in the order of the images.

        Raises:
            InputError: If there is no image.
        """
        if not images:
            raise InputError("no image was given: give at least one")

        def tensor(i: int) -> torch.Tensor:
            prepared: torch.Tensor = self.backbone.preprocess(images[i])
            return prepared

        parts = []
        starts = range(0, len(images), BATCH)
        with ThreadPoolExecutor(DECODERS) as pool, torch.inference_mode():
            coming = pool.map(tensor, range(BATCH)[: len(images)])
            for start in starts:
                batch = torch.stack(list(coming)).to(memory_format=torch.channels_last)
                after = range(len(images))[start + BATCH : start + 2 * BATCH]
                coming = pool.map(tensor, after)  # decoded while the network is at work
                parts.append(self.backbone.network(batch).float().numpy())
        return embed_spaces(
            self.spaces, self.trained, self.centre, self.classifier, np.concatenate(parts)
        )
