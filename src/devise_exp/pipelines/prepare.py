"""The wiring of the data: a config to images, classes, vectors, split, backbone, features."""

from __future__ import annotations

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.data.class_folds import draw_class_folds
from devise_exp.data.splits import Split
from devise_exp.evaluation.leakage import AuditReport
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.bank import RemoteShards, feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.methods.prior import PretrainedClassifier, pretrained_classifier
from devise_exp.pipelines.experiment_data import (
    ExperimentData,
    audit_classes,
    display_names,
)
from devise_exp.pipelines.label_entries import stated_clean
from devise_exp.pipelines.labelled import LabelledImages, read_labelled, read_split
from devise_exp.text import labels
from devise_exp.text.distinct import require_distinct_vectors
from devise_exp.text.label_options import alias_override
from devise_exp.text.names import split_synonyms
from devise_exp.text.sentence_vectors import SentenceVectors
from devise_exp.text.word_vectors.vectors import WordVectors


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
    images = read_split(config, labelled)
    split = images.split
    class_ids, resolutions = labelled.with_word_vectors(set(split.classes))
    backbone = read_backbone(config)
    stated = stated_clean(config.labels, labelled.whole.classes)
    audit = audit_classes(display_names(resolutions, split.unseen), backbone, stated)
    if split.clean == "require":
        _require_clean(split, audit)
    seen_names = display_names(resolutions, split.seen)
    known = set(audit_classes(seen_names, backbone).overlapping)
    clean = [c for c, name in zip(split.seen, seen_names, strict=True) if name not in known]
    class_vectors = labels.class_vectors(resolutions, labelled.vocabulary)
    require_distinct_vectors([r.name for r in resolutions], class_vectors)
    held_out = draw_class_folds(split, np.array(clean, dtype=np.int64), config.class_folds)
    return ExperimentData(
        whole=labelled.whole,
        dataset=labelled.dataset,
        class_ids=class_ids,
        resolutions=resolutions,
        n_missing=sum(resolution.rule == "missing" for resolution in labelled.resolutions),
        vocabulary=labelled.vocabulary,
        class_vectors=class_vectors,
        split=split,
        backbone=backbone,
        audit=audit,
        pretraining=_pretraining(backbone, labelled.vocabulary, audit),
        held_out=held_out,
        images=images.images,
        copies=images.report,
    )


def _require_clean(split: Split, audit: AuditReport) -> None:
    """Raise an InputError if an unseen class overlaps with the pretraining, or nobody knows."""
    if not audit.checked_by:
        raise InputError(
            "split.clean=require: the classes of the backbone's pretraining are unknown, so no "
            "overlap can be ruled out: choose a backbone with published classes, or clean=report"
        )
    if audit.overlaps:
        verdicts = audit.verdicts(audit.overlapping[:5])
        overlapping = "; ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
        raise InputError(
            f"split.clean=require: the backbone's pretraining knew {len(audit.overlapping)} of "
            f"{len(split.unseen)} unseen classes ({overlapping}): hold out other classes, or say "
            "split.clean=report to see clean and overlapping ones apart"
        )
    if audit.unidentified:
        first = audit.unidentified[0]
        raise InputError(
            f"split.clean=require: {len(audit.unidentified)} of {len(split.unseen)} unseen classes "
            f"are not identified, so no overlap can be ruled out ({listed(audit.unidentified)}): "
            f"give each a noun that the audit knows ({alias_override(first)}), or state by hand "
            "that the pretraining did not know it (labels.stated_clean=[NAME,NAME]), or say "
            "split.clean=report"
        )


def _pretraining(
    backbone: Backbone, vocabulary: WordVectors, audit: AuditReport
) -> PretrainedClassifier | None:
    """What the classifier of the backbone knows, without what overlaps with unseen classes."""
    if backbone.head is None or not backbone.categories or backbone.trainable:
        return None  # a network that is trained on gives its own classifier other features
    names = [split_synonyms(category)[0] for category in backbone.categories]
    vectors: list[np.ndarray | None]
    if isinstance(vocabulary, SentenceVectors):
        vectors = list(vocabulary.encode_texts(vocabulary.class_texts(names, [""] * len(names))))
    else:
        vectors = []
        for category in backbone.categories:
            (resolution,) = labels.resolve([category], vocabulary, on_missing="drop")
            known = bool(resolution.words)
            vectors.append(labels.class_vectors([resolution], vocabulary)[0] if known else None)
    return pretrained_classifier(backbone.categories, backbone.head, vectors, audit.categories)


def read_backbone(config: DictConfig) -> Backbone:
    """Build the backbone of a config.

    Args:
        config: Of train.py.

    Returns:
        The backbone.
    """
    backbone: Backbone = instantiate(config.backbone)
    return backbone


def features_of(
    config: DictConfig,
    data: ExperimentData,
    remote_shards: RemoteShards | None = None,
    **share: int,
) -> np.ndarray:
    """Take features from the cache, or extract them.

    Args:
        config: Of train.py.
        data: Its images and backbone.
        remote_shards: What other processes extract; this one then extracts its share.
        **share: rank, world_size and gpu of ExtractionSettings.

    Returns:
        (N, feature_dim), a row for each of data.dataset.
    """
    dataset, whole = data.dataset, data.whole
    if dataset.images is not None:
        settings = ExtractionSettings(**{**config.features, **share})
        return feature_bank(dataset, data.backbone, settings, remote_shards).features
    # Shipped features are those of the whole dataset; a subset is some of their rows.
    bank = feature_bank(whole, data.backbone, ExtractionSettings(**config.features))
    index = {row: i for i, row in enumerate(whole.rows)}
    return bank.features[[index[row] for row in dataset.rows]]
