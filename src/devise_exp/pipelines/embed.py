"""What the methods of a run make of its evaluated images, and the galleries that search reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from devise_exp.core.row_shards import Rows, map_rows
from devise_exp.core.vectors import centre_of
from devise_exp.data.images import ImageFiles
from devise_exp.evaluation.protocols import EmbeddedImages, MethodOutput
from devise_exp.index.protocol import Index
from devise_exp.methods.baselines.softmax import seen_classifier
from devise_exp.methods.embedding import TrainedProjection, embed_spaces
from devise_exp.methods.method import CalibratedMethod
from devise_exp.methods.pretraining_words import PRETRAINING, pretraining_words
from devise_exp.methods.task import Task
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.runs import gallery_files
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.gallery import GalleryRow


def embed_images(
    data: ExperimentData,
    features: Rows,
    method: CalibratedMethod,
    train: bool = False,
) -> MethodOutput:
    """Embed the evaluated images by a fitted method. Only here are test and unseen rows read.

    Args:
        data: Its split says which rows are evaluated.
        features: (N, feature_dim), a row for each of data.dataset.
        method: Fitted and calibrated.
        train: Whether the training rows are embedded too.

    Returns:
        The embeddings of the seen test rows, the unseen rows and, if asked for, the training rows.
    """
    split = data.split
    rows = {"seen": split.test, "unseen": split.unseen_rows}
    if train:
        rows["train"] = split.train
    embed = method.fitted.embed
    return MethodOutput(
        name=method.name,
        class_vectors=method.fitted.class_vectors,
        parts={
            part: EmbeddedImages(map_rows(embed, features, ids), data.class_ids[ids])
            for part, ids in rows.items()
        },
        gamma=method.gamma,
        gamma_spread=method.gamma_spread,
        is_projection=method.is_projection,
        reports_search=method.reports_search,
        draws=method.fitted.draws,
        leaves_out_classes=method.leaves_out_classes,
        none_threshold=method.none_threshold,
    )


def save_galleries(
    run: RunFolder,
    data: ExperimentData,
    task: Task,
    trained: TrainedProjection,
    features: Rows,
    make_index: Callable[[np.ndarray], Index],
) -> None:
    """Save the images that the model was not trained on, in every space of the run.

    Args:
        run: Where the galleries go.
        data: Its validation, test and unseen rows are saved.
        task: What the classifier of the space `classifier` is fitted to.
        trained: The projection with what was added to it.
        features: (N, feature_dim), a row for each of data.dataset.
        make_index: Builds the index of each space.
    """
    split, dataset = data.split, data.dataset
    files = dataset.images.paths if isinstance(dataset.images, ImageFiles) else None
    parts = {"val": split.val, "test": split.test, "unseen": split.unseen_rows}
    rows = [
        GalleryRow(
            name=dataset.rows[i],
            label=split.classes[data.class_ids[i]],
            path=files[i] if files else None,
            part=part,
        )
        for part, ids in parts.items()
        for i in ids
    ]
    pretraining = _pretraining_space(run, data)
    spaces = run.spaces()
    classifier = None
    if "classifier" in spaces:
        classifier = seen_classifier(task)
        run.save_arrays("classifier", {"weight": classifier.weight, "bias": classifier.bias})
    centre = centre_of(trained.words(data.class_vectors), split.seen)
    held_out = np.concatenate(list(parts.values()))

    def in_space(space: str, values: np.ndarray) -> np.ndarray:
        one = (space,)
        return embed_spaces(one, trained, centre, classifier, values, pretraining)[space]

    vectors = {space: map_rows(partial(in_space, space), features, held_out) for space in spaces}
    # A graph takes longer to build than all searches of one user save.
    gallery_files.save(run.gallery, rows, vectors, make_index, exact=[PRETRAINING])


def _pretraining_space(
    run: RunFolder, data: ExperimentData
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Features to the space `pretraining`, whose words are saved; None if there is none."""
    backbone = data.backbone
    words = pretraining_words(backbone.categories or (), data.category_vectors, data.vocabulary)
    if words is None or backbone.head is None:
        return None
    run.save_pretraining_words(words)
    return partial(words.embed, head=backbone.head)
