"""The wiring of the data: a config to images, classes, vectors, split, backbone, features."""

from __future__ import annotations

from functools import partial

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.name_files import listed
from devise_exp.data.class_folds import draw_class_folds
from devise_exp.data.copies import SplitImages, split_images
from devise_exp.data.dataset import ImageDataset, labelled_rows
from devise_exp.data.splits import Split
from devise_exp.data.subset import subset
from devise_exp.evaluation.leakage import AuditReport
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.bank import RemoteShards, feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.methods.prior import PretrainedClassifier, pretrained_classifier
from devise_exp.pipelines.experiment_data import (
    ExperimentData,
    LabelledImages,
    audit_classes,
    display_names,
)
from devise_exp.pipelines.label_entries import label_entries, stated_clean, with_file
from devise_exp.text import labels
from devise_exp.text.distinct import require_distinct_vectors
from devise_exp.text.label_options import alias_override
from devise_exp.text.missing_words import MissingWordsError
from devise_exp.text.names import split_synonyms
from devise_exp.text.sentence_vectors import SentenceVectors
from devise_exp.text.word_vectors.vectors import WordVectors


def prepare(config: DictConfig) -> ExperimentData:
    """Read the data of a config. Nothing but caches is written.

    Args:
        config: Of train.py.

    Returns:
        The data.

    Raises:
        InputError: If parts do not fit together.
    """
    labelled = read_labelled(config, config.labels.on_missing)
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


def read_labelled(config: DictConfig, on_missing: str, strict: bool = True) -> LabelledImages:
    """Read images, merge their classes and resolve those to words.

    Args:
        config: Of train.py.
        on_missing: What happens to classes without a word vector: error, drop or nearest.
        strict: Whether two classes of the same words, or one without any, are an error.

    Returns:
        The images with the words of their classes.
    """
    whole = read_images(config)
    with as_input_error("subset"):
        dataset = subset(whole, **config.subset)
    entries = partial(label_entries, config.labels, classes=whole.classes, kept=dataset.classes)
    classes, merged = labels.merge_classes(dataset.classes, entries(option="merges"))
    vocabulary = instantiate(config.word_vectors)
    aliases = entries(option="aliases")
    try:
        resolutions = labels.resolve(classes, vocabulary, aliases, on_missing, strict)
    except MissingWordsError as error:
        raise with_file(error, aliases, config.labels.get("aliases_file")) from None
    return LabelledImages(
        whole=whole,
        dataset=dataset,
        class_ids=merged[dataset.labels],
        resolutions=resolutions,
        vocabulary=vocabulary,
    )


def read_images(config: DictConfig) -> ImageDataset:
    """Read the images of a config; split=folders implies data.parts=keep.

    Args:
        config: Of train.py.

    Returns:
        The dataset.

    Raises:
        InputError: If parts are kept that the split would not use.
    """
    target = str(config.split.get("_target_"))
    takes_parts = target.endswith(".folders_split")
    parts = config.data.get("parts")
    if parts == "keep" and target.startswith("devise_exp.") and not takes_parts:
        raise InputError(
            "data.parts=keep: this split deals the images anew, across the parts: give "
            "split=folders, or data.parts=join"
        )
    if parts == "join" and takes_parts:
        raise InputError(
            "data.parts=join: split=folders takes the parts as they are: give data.parts=keep, or "
            "another split, such as split=random"
        )
    implied = {"parts": "keep"} if takes_parts and "parts" in config.data and not parts else {}
    dataset: ImageDataset = instantiate(config.data, **implied)
    return dataset


def read_split(config: DictConfig, labelled: LabelledImages) -> SplitImages:
    """Split the classes that have a word vector into seen and unseen, no image on two sides.

    Args:
        config: Of train.py.
        labelled: The images.

    Returns:
        The split with its rows, and the copies among these.
    """
    class_ids, resolutions = labelled.with_word_vectors()
    data = labelled_rows(labelled.dataset, [r.name for r in resolutions], class_ids)
    copies = config.get("copies") or {}  # a run of an earlier version has none
    with as_input_error("split"):
        return split_images(data, instantiate(config.split), labelled.dataset.looks, **copies)


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
