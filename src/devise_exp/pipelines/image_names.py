"""What the backbone's own classifier calls the images of each class, for the tables of classes."""

from __future__ import annotations

from functools import partial

import numpy as np

from devise_exp.core.row_shards import Rows, map_rows
from devise_exp.evaluation.image_names import ImageNames, doubtful_classes, names_of_images
from devise_exp.features.backbones.base import Head
from devise_exp.methods.pretraining_words import missing_classifier
from devise_exp.methods.prior import BATCH_ROWS
from devise_exp.methods.task import Task
from devise_exp.pipelines.experiment_data import ExperimentData


def name_images(data: ExperimentData, task: Task, features: Rows) -> tuple[ImageNames, ...] | None:
    """Classify training images of seen classes and all images of unseen ones.

    It reads rows of unseen classes, so it belongs after all methods are fitted.

    Args:
        data: Its backbone has the classifier.
        task: Hands out the training rows.
        features: (N, feature_dim), a row for each of data.dataset.

    Returns:
        What the images of each class are called, in the order of the classes; None if the backbone
        has no classifier of its own that its features fit.
    """
    backbone, split = data.backbone, data.split
    if missing_classifier(backbone) is not None or backbone.head is None:
        return None
    classify = partial(most_probable, head=backbone.head)
    rows = np.concatenate([split.train, split.unseen_rows])
    ids = np.concatenate(
        [
            map_rows(classify, task.features, split.train),
            map_rows(classify, features, split.unseen_rows),
        ]
    )
    class_ids = data.class_ids[rows]
    order = np.argsort(class_ids, kind="stable")
    ends = np.searchsorted(class_ids[order], np.arange(1, len(split.classes)))
    categories = backbone.categories or ()
    return tuple(names_of_images(part, categories) for part in np.split(ids[order], ends))


def about_image_names(
    data: ExperimentData, names: tuple[ImageNames, ...] | None
) -> dict[str, str | int]:
    """Say how many clean classes have images that contradict it.

    Args:
        data: Its audit has the verdicts.
        names: What the images of each class are called, None if nothing calls them anything.

    Returns:
        An entry of about.json; none if nothing calls them anything.
    """
    if names is None:
        return {}
    classes = data.split.classes
    unseen = [classes[c] for c in data.split.unseen]
    doubtful = doubtful_classes(dict(zip(classes, names, strict=True)), data.audit.verdicts(unseen))
    return {"leak/clean_called_one_name": len(doubtful)}


def most_probable(features: np.ndarray, head: Head) -> np.ndarray:
    """Classify images.

    Args:
        features: (N, feature_dim) features.
        head: The classifier of K classes.

    Returns:
        (N,) the most probable class of each image.
    """
    blocks = np.array_split(features, max(1, -(-len(features) // BATCH_ROWS)))
    ids = [(b.astype(np.float32) @ head.weight.T + head.bias).argmax(axis=1) for b in blocks]
    return np.concatenate(ids)
