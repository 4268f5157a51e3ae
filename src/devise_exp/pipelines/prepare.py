"""The wiring of the data: a config to dataset, classes, vectors, split, backbone, audit and
features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.core.errors import InputError, as_input_error
from devise_exp.data.class_folds import draw_class_folds
from devise_exp.data.dataset import ImageDataset, subset
from devise_exp.data.splits import Split
from devise_exp.evaluation import leakage
from devise_exp.evaluation.kinds import imagenet1k_kinds
from devise_exp.evaluation.leakage import AuditReport
from devise_exp.features.backbones.base import Backbone
from devise_exp.features.bank import RemoteShards, feature_bank
from devise_exp.features.extraction import ExtractionSettings
from devise_exp.methods.prior import PretrainedClassifier, pretrained_classifier
from devise_exp.methods.task import ClassFold, Task, class_fold, make_task
from devise_exp.text import labels
from devise_exp.text.labels import Resolution
from devise_exp.text.names import split_synonyms
from devise_exp.text.sentence_vectors import SentenceVectors
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.database import find_wordnet
from devise_exp.text.wordnet.hierarchy import Hierarchy, place_classes


@dataclass(frozen=True)
class LabelledImages:
    """Pictures and the words of their classes, those without a word vector too.

    whole: the dataset as it was read; dataset: without what config.subset leaves out. class_ids:
    (N,) per row of dataset, positions in resolutions.
    """

    whole: ImageDataset
    dataset: ImageDataset
    class_ids: np.ndarray
    resolutions: tuple[Resolution, ...]
    vocabulary: WordVectors

    def with_word_vectors(
        self, classes: Collection[str] | None = None
    ) -> tuple[np.ndarray, tuple[Resolution, ...]]:
        """Class ids, -1 where the class has no word vector or is none of `classes`, and resolutions
        of the other classes only.
        """
        kept = [
            i
            for i, resolution in enumerate(self.resolutions)
            if resolution.rule != "missing" and (classes is None or resolution.name in classes)
        ]
        position = np.full(len(self.resolutions), -1)
        position[kept] = np.arange(len(kept))
        return position[self.class_ids], tuple(self.resolutions[i] for i in kept)


@dataclass(frozen=True)
class ExperimentData:
    """All that training and evaluation need beside features; class ids are positions in
    split.classes.

    whole: the dataset as it was read; dataset: without what config.subset leaves out. class_ids:
    (N,) per row of dataset, -1 where its class has no word or takes no part in the split;
    class_vectors: (C, D) unit rows. n_missing: classes without a word. pretraining: what the
    backbone's own classifier knows beside the unseen classes, None where that is unknown or the
    network is trained on. held_out: seen classes that play the unseen ones, per class fold.
    """

    whole: ImageDataset
    dataset: ImageDataset
    class_ids: np.ndarray
    resolutions: tuple[Resolution, ...]
    n_missing: int
    vocabulary: WordVectors
    class_vectors: np.ndarray
    split: Split
    backbone: Backbone
    audit: AuditReport
    pretraining: PretrainedClassifier | None
    held_out: tuple[np.ndarray, ...]

    def task(self, features: np.ndarray, seed: int) -> Task:
        """What a method may learn from: features (N, feature_dim) of rows of dataset, all but
        training and validation rows closed.
        """
        vectors = self.class_vectors
        return make_task(self.split, self.class_ids, vectors, features, seed, self.pretraining)

    def class_folds(self, task: Task) -> tuple[ClassFold, ...]:
        """The task with some of its seen classes held out, once per set of held_out. What the
        pretraining knows of those is taken out as well; where that is all of it (a class called
        "entity"), there is no such class fold.
        """
        made = []
        for held_out in self.held_out:
            names = _names(self.resolutions, held_out)
            overlapping = _audit(names, self.backbone).categories
            made.append(class_fold(task, held_out, overlapping))
        needed = task.pretraining is not None
        return tuple(each for each in made if not needed or each.task.pretraining is not None)

    def hierarchy(self) -> Hierarchy:
        """Where the classes stand in WordNet."""
        names = [r.name for r in self.resolutions]
        words = [[r.display_name] for r in self.resolutions]
        return place_classes(names, words, self.dataset.name, find_wordnet())

    def about(self) -> dict[str, str | int | float]:
        """What every figure of this run rests on."""
        how = labels.count_rules(self.resolutions)
        about: dict[str, str | int | float] = {
            "data": self.dataset.name,
            "backbone": self.backbone.name,
            "word_vectors": self.vocabulary.name,
            "split/name": self.split.name,
            "split/fingerprint": self.split.fingerprint,
            "labels/missing": self.n_missing,
        }
        about |= {f"labels/{name}": n for name, n in how.items() if n and name != "missing"}
        about["data/skipped"] = len(self.dataset.skipped)
        about["leak/checked_by"] = (
            " and ".join(self.audit.checked_by) or "nothing (classes unknown)"
        )
        about["leak/unseen_leaked"] = len(self.audit.overlapping)
        return about


def prepare(config: DictConfig) -> ExperimentData:
    """Read the data of a config; InputError for whatever does not fit together, nothing written
    but caches.
    """
    labelled = read_labelled(config, config.labels.on_missing)
    split = read_split(config, labelled)
    class_ids, resolutions = labelled.with_word_vectors(set(split.classes))
    backbone = read_backbone(config)
    audit = _audit(_names(resolutions, split.unseen), backbone)
    if split.clean == "require":
        _require_clean(split, audit)
    seen_names = _names(resolutions, split.seen)
    known = set(_audit(seen_names, backbone).overlapping)
    clean = [c for c, name in zip(split.seen, seen_names, strict=True) if name not in known]
    held_out = draw_class_folds(split, np.array(clean, dtype=np.int64), config.class_folds)
    return ExperimentData(
        labelled.whole,
        labelled.dataset,
        class_ids,
        resolutions,
        sum(resolution.rule == "missing" for resolution in labelled.resolutions),
        labelled.vocabulary,
        labels.class_vectors(resolutions, labelled.vocabulary),
        split,
        backbone,
        audit,
        _pretraining(backbone, labelled.vocabulary, audit),
        held_out,
    )


def _names(resolutions: Sequence[Resolution], classes: np.ndarray) -> dict[str, str]:
    """Name of each class -> its words, for the audit."""
    own = [resolutions[c] for c in classes]
    return {r.name: r.display_name for r in own}


def _audit(names: Mapping[str, str], backbone: Backbone) -> AuditReport:
    return leakage.audit(names, backbone.categories, imagenet1k_kinds())


def _require_clean(split: Split, audit: AuditReport) -> None:
    if not audit.checked_by:
        raise InputError(
            "split.clean=require: the classes of the backbone's pretraining are unknown, so no "
            "overlap can be ruled out: choose a backbone with published classes, or clean=report"
        )
    if audit.overlaps:
        verdicts = audit.verdicts(audit.overlapping[:5])
        listed = "; ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
        raise InputError(
            f"split.clean=require: the backbone's pretraining knew {len(audit.overlapping)} of "
            f"{len(split.unseen)} unseen classes ({listed}): hold out other classes, or say "
            "split.clean=report to see clean and overlapping ones apart"
        )


def _pretraining(
    backbone: Backbone, vocabulary: WordVectors, audit: AuditReport
) -> PretrainedClassifier | None:
    """What the backbone's classifier knows, in the words of `vocabulary`, without what the audit
    found.
    """
    if backbone.head is None or not backbone.categories or backbone.trainable:
        return None  # a network that is trained on gives its own classifier other features
    names = [split_synonyms(category)[0] for category in backbone.categories]
    found: list[np.ndarray | None]
    if isinstance(vocabulary, SentenceVectors):
        found = list(vocabulary.encode_texts(vocabulary.class_texts(names, [""] * len(names))))
    else:
        found = []
        for category in backbone.categories:
            (own,) = labels.resolve([category], vocabulary, on_missing="drop")
            found.append(labels.class_vectors([own], vocabulary)[0] if own.words else None)
    return pretrained_classifier(backbone.categories, backbone.head, found, audit.categories)


def read_labelled(config: DictConfig, on_missing: str) -> LabelledImages:
    """The pictures of a config, their merged classes and what words those resolve to."""
    whole = instantiate(config.data)
    with as_input_error("subset"):
        dataset = subset(whole, **config.subset)
    classes, merged = labels.merge_classes(
        dataset.classes, _present(config.labels.merges, whole, dataset)
    )
    vocabulary = instantiate(config.word_vectors)
    aliases = _present(config.labels.aliases, whole, dataset)
    resolutions = labels.resolve(classes, vocabulary, aliases, on_missing)
    return LabelledImages(whole, dataset, merged[dataset.labels], resolutions, vocabulary)


def read_split(config: DictConfig, labelled: LabelledImages) -> Split:
    """Seen and unseen classes, of those that have a word vector, and their rows."""
    class_ids, resolutions = labelled.with_word_vectors()
    with as_input_error("split"):
        split: Split = instantiate(config.split)(
            [r.name for r in resolutions], class_ids, labelled.dataset.rows
        )
    return split


def read_backbone(config: DictConfig) -> Backbone:
    backbone: Backbone = instantiate(config.backbone)
    return backbone


def _present(
    given: Mapping[str, str], whole: ImageDataset, dataset: ImageDataset
) -> dict[str, str]:
    """Aliases or merges without those of classes that a subset has left out."""
    gone = set(whole.classes) - set(dataset.classes)
    return {name: value for name, value in given.items() if name not in gone and value not in gone}


def features_of(
    config: DictConfig,
    data: ExperimentData,
    remote_shards: RemoteShards | None = None,
    **share: int,
) -> np.ndarray:
    """(N, feature_dim), one per row of data.dataset, from the cache if they are there; else
    with `remote_shards` this process makes its share: rank, world_size and gpu of
    ExtractionSettings.
    """
    dataset, whole = data.dataset, data.whole
    if dataset.images is not None:
        settings = ExtractionSettings(**{**config.features, **share})
        return feature_bank(dataset, data.backbone, settings, remote_shards).features
    # Shipped features are those of the whole dataset; a subset is some of their rows.
    bank = feature_bank(whole, data.backbone, ExtractionSettings(**config.features))
    index = {row: i for i, row in enumerate(whole.rows)}
    return bank.features[[index[row] for row in dataset.rows]]
