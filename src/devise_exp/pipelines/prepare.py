"""The wiring of the data: a config to images, classes, vectors, split, backbone, features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.core.row_shards import Rows
from devise_exp.data.class_folds import draw_class_folds
from devise_exp.evaluation.verdicts import AuditReport
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.bank import OtherShards, feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.methods.pretraining_words import category_vectors, missing_classifier
from devise_exp.methods.prior import PretrainedClassifier, pretrained_classifier
from devise_exp.pipelines.class_audit import audit_config, require_clean, verdict_kinds
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.joint import joint_texts
from devise_exp.pipelines.labelled import LabelledImages, read_labelled, read_split
from devise_exp.pipelines.user_parts import built
from devise_exp.text import labels
from devise_exp.text.distinct import require_distinct_vectors


def prepare(config: DictConfig, labelled: LabelledImages | None = None) -> ExperimentData:
    """Read the data of a config. Nothing but caches is written.

    Args:
        config: Of train.py.
        labelled: Its images with their words, if they have been read.

    Returns:
        The data.

    Raises:
        InputError: If parts do not fit together.
    """
    labelled = labelled or read_labelled(config, config.labels.on_missing)
    backbone = read_backbone(config)
    class_audit = audit_config(config, labelled, backbone)
    images = read_split(config, labelled, verdicts=verdict_kinds(class_audit, labelled))
    split = images.split
    audit = class_audit.of(split.classes[c] for c in split.unseen)
    require_clean(split, audit)
    class_ids, resolutions = labelled.with_word_vectors(set(split.classes))
    known = {overlap.name for overlap in class_audit.by_whole_names}
    clean = [c for c in split.seen if split.classes[c] not in known]
    class_vectors = labels.class_vectors(resolutions, labelled.vocabulary)
    require_distinct_vectors([r.name for r in resolutions], class_vectors)
    of_categories: tuple[np.ndarray | None, ...] = ()
    if missing_classifier(backbone) is None:
        of_categories = category_vectors(backbone.categories or (), labelled.vocabulary)
    is_older = "few_classes" not in config  # begun by an earlier version, which refused nothing
    ids = np.array(clean, dtype=np.int64)
    held_out = draw_class_folds(split, ids, config.class_folds, strict=not is_older)
    return ExperimentData(
        whole=labelled.whole,
        dataset=labelled.dataset,
        class_ids=class_ids,
        resolutions=resolutions,
        missing=tuple(r.name for r in labelled.resolutions if r.rule == "missing"),
        vocabulary=labelled.vocabulary,
        class_vectors=class_vectors,
        split=split,
        backbone=backbone,
        audit=audit,
        class_audit=class_audit,
        pretraining=_pretraining(backbone, of_categories, audit),
        category_vectors=of_categories,
        held_out=held_out,
        images=images.images,
        copies=images.report,
        texts=joint_texts(backbone, resolutions, class_vectors, labelled.vocabulary),
    )


def _pretraining(
    backbone: Backbone, vectors: Sequence[np.ndarray | None], audit: AuditReport
) -> PretrainedClassifier | None:
    """What the classifier of the backbone knows, without what overlaps with unseen classes."""
    if not vectors or backbone.head is None or backbone.categories is None:
        return None
    return pretrained_classifier(backbone.categories, backbone.head, vectors, audit.categories)


def read_backbone(config: DictConfig) -> Backbone:
    """Build the backbone of a config.

    Args:
        config: Of train.py.

    Returns:
        The backbone.
    """
    return built(instantiate(config.backbone), Backbone, "backbone", config)


def features_of(
    config: DictConfig,
    data: ExperimentData,
    other_shards: OtherShards | None = None,
    **share: int,
) -> Rows:
    """Take features from the cache, or extract them.

    Args:
        config: Of train.py.
        data: Its images and backbone.
        other_shards: Lets other processes extract; this one then extracts its share.
        **share: rank, world_size and gpu of ExtractionSettings.

    Returns:
        (N, feature_dim), a row for each of data.dataset.
    """
    dataset, whole = data.dataset, data.whole
    if dataset.images is not None:
        settings = ExtractionSettings(**{**config.features, **share})
        return feature_bank(dataset, data.backbone, settings, other_shards).features
    # Shipped features are those of the whole dataset; a subset is some of their rows.
    bank = feature_bank(whole, data.backbone, ExtractionSettings(**config.features))
    index = {row: i for i, row in enumerate(whole.rows)}
    return bank.features[[index[row] for row in dataset.rows]]
