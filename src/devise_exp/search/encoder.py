"""Images to vectors under a finished run: its backbone and projection, built from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Backbone
from devise_exp.methods.embedding import Classifier, TrainedProjection, embed_spaces
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import trusted_group
from devise_exp.training.checkpoint import BEST, load_part

BATCH = 32
DECODERS = 2  # threads that open images; two keep a network on a processor busy


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedModel:
    """What a finished run embeds images with, built from its folder.

    Attributes:
        backbone: Images to features.
        trained: Features to the trained space.
        classifier: That of the space "classifier"; None if the run has no such space.
    """

    backbone: Backbone
    trained: TrainedProjection
    classifier: Classifier | None


def load_model(run: RunFolder, dim: int, checkpoint: Path | None = None) -> SavedModel:
    """Build the model of a finished run.

    Args:
        run: The run folder.
        dim: Length of its class vectors.
        checkpoint: The weights; None: the best ones.

    Returns:
        The model.

    Raises:
        InputError: If the config names parts that are not built unasked, or a file is damaged.
    """
    checkpoint = checkpoint or run.checkpoints / BEST
    config = run.config()
    backbone: Backbone = instantiate(trusted_group(config, "backbone", run.path))
    with torch.device("meta"):  # sizes are claims of a config until the weights have them
        projection = instantiate(trusted_group(config, "projection", run.path))(
            backbone.feature_dim, dim
        )
    load_part(projection, checkpoint, "projection")
    if backbone.trainable:
        load_part(backbone.network, checkpoint, "backbone")
    return SavedModel(
        backbone=backbone,
        trained=TrainedProjection(projection, run.prior()),
        classifier=Classifier(*run.classifier()) if "classifier" in run.spaces() else None,
    )


class ImageEncoder:
    """Images to unit vectors in every space of a run.

    Args:
        run: The run folder.
        centre: (D,) centre about which images are compared in the trained space.
    """

    def __init__(self, run: RunFolder, centre: np.ndarray) -> None:
        model = load_model(run, len(centre))
        self.backbone, self.trained = model.backbone, model.trained
        self.classifier = model.classifier
        self.backbone.network.eval()
        self.centre = centre
        self.spaces = run.spaces()

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
