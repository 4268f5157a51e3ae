"""The wiring of the data: a config to dataset, classes, vectors, split, backbone, audit and
features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp import labels, leaks
from devise_exp.backbone import Backbone
from devise_exp.datasets import ImageDataset, filtered
from devise_exp.errors import option
from devise_exp.features import feature_bank
from devise_exp.labels import Resolution
from devise_exp.leaks import AuditReport
from devise_exp.splits import Split
from devise_exp.word_vectors import WordVectors


@dataclass(frozen=True)
class Labelled:
    """Pictures and the words of their classes, those without a word vector too.

    whole: the dataset as it was read; dataset: without what config.subset leaves out. class_ids:
    (N,) per row of dataset, positions in resolutions.
    """

    whole: ImageDataset
    dataset: ImageDataset
    class_ids: np.ndarray
    resolutions: tuple[Resolution, ...]
    vocabulary: WordVectors

    def known(self) -> tuple[np.ndarray, tuple[Resolution, ...]]:
        """Class ids, -1 where the class has no word vector, and resolutions of the other classes
        only.
        """
        kept = [i for i, resolution in enumerate(self.resolutions) if resolution.how != "missing"]
        position = np.full(len(self.resolutions), -1)
        position[kept] = np.arange(len(kept))
        return position[self.class_ids], tuple(self.resolutions[i] for i in kept)


@dataclass(frozen=True)
class Prepared:
    """All that training and evaluation need beside features; class ids are positions in
    split.classes.

    whole: the dataset as it was read; dataset: without what config.subset leaves out. class_ids:
    (N,) per row of dataset, -1 where its class has no word; class_vectors: (C, D) unit rows.
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

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """Rows of seen classes to positions among the seen classes, (len(rows),) int64."""
        targets: np.ndarray = np.searchsorted(self.split.seen, self.class_ids[rows])
        return targets

    def about(self) -> dict[str, str | int | float]:
        """What every figure of this run rests on."""
        how = labels.summary(self.resolutions)
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
        about["leak/unseen_leaked"] = len(self.audit.leaked)
        return about


def prepare(config: DictConfig) -> Prepared:
    """Read the data of a config; InputError for whatever does not fit together, nothing written
    but caches.
    """
    labelled = read_labelled(config, config.labels.on_missing)
    class_ids, resolutions = labelled.known()
    split = read_split(config, labelled)
    backbone = read_backbone(config)
    unseen = {resolutions[i].name: " ".join(resolutions[i].words) for i in split.unseen}
    return Prepared(
        labelled.whole,
        labelled.dataset,
        class_ids,
        resolutions,
        len(labelled.resolutions) - len(resolutions),
        labelled.vocabulary,
        labels.class_vectors(resolutions, labelled.vocabulary),
        split,
        backbone,
        leaks.audit(unseen, backbone.categories, leaks.imagenet1k_kinds()),
    )


def read_labelled(config: DictConfig, on_missing: str) -> Labelled:
    """The pictures of a config, their merged classes and what words those resolve to."""
    whole = instantiate(config.data)
    with option("subset"):
        dataset = filtered(whole, **config.subset)
    classes, merged = labels.merge(dataset.classes, _present(config.labels.merges, whole, dataset))
    vocabulary = instantiate(config.word_vectors)
    aliases = _present(config.labels.aliases, whole, dataset)
    resolutions = labels.resolve(classes, vocabulary, aliases, on_missing)
    return Labelled(whole, dataset, merged[dataset.labels], resolutions, vocabulary)


def read_split(config: DictConfig, labelled: Labelled) -> Split:
    """Seen and unseen classes, of those that have a word vector, and their rows."""
    class_ids, resolutions = labelled.known()
    with option("split"):
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


def features_of(config: DictConfig, parts: Prepared) -> np.ndarray:
    """(N, feature_dim), one per row of parts.dataset, from the cache where they are there."""
    dataset, whole = parts.dataset, parts.whole
    if dataset.images is not None:
        return feature_bank(dataset, parts.backbone, **config.features).features
    # Shipped features are those of the whole dataset; a subset is some of their rows.
    bank = feature_bank(whole, parts.backbone, **config.features)
    index = {row: i for i, row in enumerate(whole.rows)}
    return bank.features[[index[row] for row in dataset.rows]]
