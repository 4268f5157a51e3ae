"""Other images under a finished run: features by its backbone, embeddings by its projection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from devise_exp.core.errors import as_input_error
from devise_exp.core.row_shards import Rows, map_rows
from devise_exp.core.vectors import centre_of
from devise_exp.evaluation.protocols import MODEL, EmbeddedImages, MethodOutput
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.bank import feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.methods.embedding import embed_spaces
from devise_exp.pipelines.evaluated_folder import OtherImages
from devise_exp.pipelines.score import Spaces
from devise_exp.runs.folder import RunFolder
from devise_exp.search.encoder import load_model


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderOutput:
    """What the trained model of a run makes of other images.

    Attributes:
        model: The images of seen and of unseen classes, with the run's class vectors and gamma.
        spaces: The same images in the other spaces of the run.
    """

    model: MethodOutput
    spaces: Spaces


def embed_folder(
    run: RunFolder, images: OtherImages, checkpoint: Path | None = None
) -> FolderOutput:
    """Embed other images by the trained model of a run, built from its folder.

    Args:
        run: The run folder.
        images: The images.
        checkpoint: The weights; None: the best ones.

    Returns:
        The embeddings.

    Raises:
        InputError: If the run's network cannot be built, or refuses images.
    """
    before = run.embedded(MODEL)
    seen, unseen = run.class_ids()
    saved = load_model(run, run.class_vectors().shape[1], checkpoint)
    features = _features(run, images, saved.backbone)
    others = run.measured_spaces()
    rows = [np.flatnonzero(np.isin(images.class_ids, side)) for side in (seen, unseen)]
    parts = {
        part: EmbeddedImages(map_rows(saved.trained, features, ids), images.class_ids[ids])
        for part, ids in zip(("seen", "unseen"), rows, strict=True)
    }
    centre = centre_of(before.class_vectors, seen)

    def in_space(space: str, values: np.ndarray) -> np.ndarray:
        return embed_spaces((space,), saved.trained, centre, saved.classifier, values)[space]

    in_seen, in_unseen = (
        {space: map_rows(partial(in_space, space), features, ids) for space in others}
        for ids in rows
    )
    return FolderOutput(
        model=replace(before, parts=parts),
        spaces={space: (in_seen[space], in_unseen[space]) for space in others},
    )


def _features(run: RunFolder, images: OtherImages, backbone: Backbone) -> Rows:
    """(N, feature_dim), computed as the run computed its own, on the device that is here."""
    options: Any = OmegaConf.to_container(run.config().features)
    if str(options.get("device", "")).startswith("cuda"):
        options["device"] = "auto"  # the run's GPU may be another machine's
    with as_input_error(f"features of {run.path / 'config.yaml'}"):
        settings = ExtractionSettings(**options)
    return feature_bank(images.dataset, backbone, settings).features
