"""Images to vectors under a finished run: its backbone and projection, built from its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

from devise_exp.core.errors import InputError
from devise_exp.core.user_code import user_errors
from devise_exp.features.backbones.base import Backbone
from devise_exp.methods.embedding import Classifier, TrainedProjection, embed_spaces
from devise_exp.methods.pretraining_words import missing_classifier
from devise_exp.methods.prior import probabilities
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import is_plain
from devise_exp.text.names import split_synonyms
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
        pretraining: Features to rows of the space "pretraining"; None if the run has none.
    """

    backbone: Backbone
    trained: TrainedProjection
    classifier: Classifier | None
    pretraining: Callable[[np.ndarray], np.ndarray] | None


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
    backbone: Backbone = instantiate(run.part("backbone"))
    projection = _projection(run, backbone.feature_dim, dim)
    load_part(projection, checkpoint, "projection")
    if backbone.trainable:
        load_part(backbone.network, checkpoint, "backbone")
    return SavedModel(
        backbone=backbone,
        trained=TrainedProjection(projection, *run.additions()),
        classifier=Classifier(*run.classifier()) if "classifier" in run.spaces() else None,
        pretraining=_pretraining_space(run, backbone),
    )


def _projection(run: RunFolder, feature_dim: int, dim: int) -> nn.Module:
    """The projection, without its weights."""
    part = run.part("projection")
    projection: nn.Module
    if not is_plain("projection", OmegaConf.to_container(part)):  # it may compute as it is built
        with user_errors("projection", str(part._target_)):
            projection = instantiate(part)(feature_dim, dim)
        return projection
    with torch.device("meta"):  # sizes are claims of a config until the weights have them
        projection = instantiate(part)(feature_dim, dim)
    return projection


def _pretraining_space(
    run: RunFolder, backbone: Backbone
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Features to the space `pretraining`; InputError if its words are of another backbone."""
    words = run.pretraining_words()
    if words is None:
        return None
    if backbone.head is None or words.ids.max() >= len(backbone.head.bias):
        raise InputError(
            f"{run.path / 'pretraining.npz'}: its classes are not those of {backbone.name}: "
            "remove the file"
        )
    return partial(words.embed, head=backbone.head)


class ImageEncoder:
    """Images to unit vectors in every space of a run.

    Args:
        run: The run folder.
        centre: (D,) centre about which images are compared in the trained space.
    """

    def __init__(self, run: RunFolder, centre: np.ndarray) -> None:
        model = load_model(run, run.class_vectors().shape[1])
        self.backbone, self.trained = model.backbone, model.trained
        self.classifier, self.pretraining = model.classifier, model.pretraining
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
        return embed_spaces(
            self.spaces,
            self.trained,
            self.centre,
            self.classifier,
            self.features(images),
            self.pretraining,
        )

    def name(self, images: Sequence[Image.Image], k: int) -> list[list[tuple[str, float]]]:
        """Say what the backbone's own classifier calls images.

        Args:
            images: N images.
            k: How many of its classes.

        Returns:
            For every image, the most probable classes with their probabilities, best first.

        Raises:
            InputError: If the backbone has no such classifier that fits its features, or fewer
                classes.
        """
        backbone = self.backbone
        reason = missing_classifier(backbone)
        if reason is not None or backbone.head is None or backbone.categories is None:
            raise InputError(f"{reason}: leave out --space, or take --vocabulary")
        names = [split_synonyms(category)[0] for category in backbone.categories]
        if not 1 <= k <= len(names):
            raise InputError(f"k is {k}: give a number from 1 to {len(names):,}, the classes")
        shares = probabilities(self.features(images), backbone.head)
        best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
        return [
            [(names[i], float(row[i])) for i in ids] for row, ids in zip(shares, best, strict=True)
        ]

    def features(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Extract the features of images.

        Args:
            images: N images.

        Returns:
            (N, feature_dim) float32.

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
        return np.concatenate(parts)
