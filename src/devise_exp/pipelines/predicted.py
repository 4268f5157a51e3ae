"""The predictions of an evaluation, written beside its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from devise_exp.core.console import notify
from devise_exp.data.images import ImageFiles
from devise_exp.evaluation.evaluator import Evaluation
from devise_exp.evaluation.predictions import PART_NAMES, predictions
from devise_exp.evaluation.protocols import MethodOutput, Protocol
from devise_exp.pipelines.settings import PredictionSettings
from devise_exp.reports.predictions import PartImages, write_predictions
from devise_exp.runs.folder import RunFolder

if TYPE_CHECKING:
    from devise_exp.pipelines.evaluated_folder import OtherImages


def save_predictions(
    folder: Path,
    options: PredictionSettings,
    models: Sequence[MethodOutput],
    protocols: Sequence[Protocol],
    evaluation: Evaluation,
    images: Mapping[str, PartImages],
    labels: Sequence[str],
) -> None:
    """Write the predictions of an evaluation, as its options say.

    Args:
        folder: Where the file goes.
        options: The section `predictions` of the config.
        models: Method outputs, that of the trained model first.
        protocols: The protocols that were evaluated.
        evaluation: Their rankings.
        images: The images by part.
        labels: Names of the labels by id.
    """
    tables = predictions(
        models if options.methods else models[:1],
        protocols,
        evaluation.neighbours,
        options.labels,
        options.max_images,
    )
    path = write_predictions(folder, options.format, tables, images, labels, options.labels)
    if path is None or options.max_images is None:
        return
    for part, of_part in models[0].parts.items():
        if (n := len(of_part.class_ids)) > options.max_images:
            notify(
                f"{path.name}: {options.max_images:,} of {n:,} images of {PART_NAMES[part]}, "
                "evenly spread (predictions.max_images=null writes all)"
            )


def class_names(run: RunFolder) -> list[str]:
    """List the labels of a run.

    Args:
        run: The run folder.

    Returns:
        Names by class id.
    """
    return [record.name for record in run.classes()]


def images_of_folder(run: RunFolder, images: OtherImages) -> dict[str, PartImages]:
    """List the images of a folder that a run is evaluated on.

    Args:
        run: The run folder, which knows the sides of classes.
        images: The images.

    Returns:
        Images by part: those of seen and those of unseen classes.
    """
    rows, files = images.dataset.rows, images.dataset.images
    paths = {}
    if isinstance(files, ImageFiles):
        paths = dict(zip(rows, files.paths, strict=True))
    sides = (np.isin(images.class_ids, ids) for ids in run.class_ids())
    return {
        part: PartImages([rows[i] for i in np.flatnonzero(is_of_part).tolist()], paths)
        for part, is_of_part in zip(("seen", "unseen"), sides, strict=True)
    }
