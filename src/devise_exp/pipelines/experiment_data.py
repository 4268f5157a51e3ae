"""The data of an experiment: images, classes with their words, split, backbone and audit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from devise_exp.core.row_shards import Rows
from devise_exp.data.copies import CopyReport
from devise_exp.data.dataset import ImageDataset
from devise_exp.data.splits import Split
from devise_exp.evaluation import leakage
from devise_exp.evaluation.kinds import imagenet1k_kinds
from devise_exp.evaluation.verdicts import AuditReport
from devise_exp.features.backbones.base import Backbone
from devise_exp.methods.joint_texts import JointTexts
from devise_exp.methods.prior import PretrainedClassifier
from devise_exp.methods.task import ClassFold, Task, class_fold, make_task
from devise_exp.text import labels
from devise_exp.text.labels import Resolution
from devise_exp.text.word_vectors.vectors import WordVectors
from devise_exp.text.wordnet.database import find_wordnet
from devise_exp.text.wordnet.hierarchy import Hierarchy, place_classes


@dataclass(frozen=True, kw_only=True)
class ExperimentData:
    """What training and evaluation need beside features. Class ids are positions in split.classes.

    Attributes:
        whole: The dataset as it was read.
        dataset: Without what config.subset leaves out.
        class_ids: (N,) per row of dataset, -1 if its class has no word or is not in the split.
        resolutions: The words of each class.
        missing: Names of the classes that have no word vector.
        vocabulary: The word vectors.
        class_vectors: (C, D) unit rows.
        split: Seen and unseen classes, and their rows.
        backbone: Images to features.
        audit: Which unseen classes the pretraining knew.
        class_audit: Which of all classes it knew.
        pretraining: What the backbone's own classifier knows beside the unseen classes; None if
            that is unknown, or the network is trained.
        category_vectors: Word vector (D,) of each class of the backbone's own classifier, None if
            it has none; none at all if there is no such classifier.
        held_out: Seen classes that play the unseen ones, per class fold.
        images: (N,) the lowest row that shows the same image; None if that is unknown.
        copies: The copies among the images; None if they are unknown.
        texts: The classes by the backbone's own text tower; None if it has none.
    """

    whole: ImageDataset
    dataset: ImageDataset
    class_ids: np.ndarray
    resolutions: tuple[Resolution, ...]
    missing: tuple[str, ...]
    vocabulary: WordVectors
    class_vectors: np.ndarray
    split: Split
    backbone: Backbone
    audit: AuditReport
    class_audit: AuditReport
    pretraining: PretrainedClassifier | None
    category_vectors: tuple[np.ndarray | None, ...]
    held_out: tuple[np.ndarray, ...]
    images: np.ndarray | None = None
    copies: CopyReport | None = None
    texts: JointTexts | None = None

    @property
    def n_train(self) -> int:
        """Number of training rows."""
        return len(self.split.train)

    def task(self, features: Rows, seed: int) -> Task:
        """Make the task that a method may learn from.

        Args:
            features: (N, feature_dim), a row for each of dataset.
            seed: Of the training.

        Returns:
            A task that raises if rows other than training and validation rows are read.
        """
        vectors = self.class_vectors
        task = make_task(
            self.split, self.class_ids, vectors, features, seed, self.pretraining, self.images
        )
        return replace(task, texts=self.texts)

    def class_folds(self, task: Task) -> tuple[ClassFold, ...]:
        """Hold out some seen classes of a task, once per set of held_out.

        What the pretraining knows of them by their whole names, or as a person states, is taken
        out as well, and so are copies of their images.
        If that is all it knows (a class called "entity"), or all the training images of another
        class, the fold is left out.

        Args:
            task: Of this data.

        Returns:
            The class folds.
        """
        folds = []
        for held_out in self.held_out:
            audit = self.class_audit.of(self.split.classes[c] for c in held_out)
            overlapping = {overlap.category for overlap in audit.by_whole_names}
            folds.append(class_fold(task, held_out, overlapping))
        needed = task.pretraining is not None
        return tuple(
            fold
            for fold in folds
            if (not needed or fold.task.pretraining is not None) and fold.is_whole
        )

    def hierarchy(self) -> Hierarchy:
        """Place the classes in WordNet.

        Returns:
            The hierarchy.
        """
        names = [r.name for r in self.resolutions]
        words = [[r.display_name] for r in self.resolutions]
        return place_classes(names, words, self.dataset.name, find_wordnet())

    def about(self) -> dict[str, str | int | float]:
        """Say what every metric of a run on this data rests on.

        Returns:
            Values by name, as about.json has them.
        """
        rules = labels.count_rules(self.resolutions)
        about: dict[str, str | int | float] = {
            "data": self.dataset.name,
            "backbone": self.backbone.name,
            "word_vectors": self.vocabulary.name,
            "split/name": self.split.name,
            "split/fingerprint": self.split.fingerprint,
            "labels/missing": len(self.missing),
        }
        about |= {f"labels/{name}": n for name, n in rules.items() if n and name != "missing"}
        about["data/skipped"] = len(self.dataset.skipped)
        about |= self._about_copies()
        about["leak/checked_by"] = (
            " and ".join(self.audit.checked_by)
            or f"nothing ({self.backbone.unpublished or 'classes unknown'})"
        )
        audit = self.audit
        about["leak/unseen_leaked"] = len(audit.overlapping)
        about["leak/unseen_possible"] = len(audit.undecided) - len(audit.unidentified)
        about["leak/unseen_unidentified"] = len(audit.unidentified)
        return about

    def _about_copies(self) -> dict[str, str | int | float]:
        """How many copies there are, "not checked" for data without contents."""
        if self.copies is None:
            return {"data/copies": "not checked"}
        return {
            "data/copies": self.copies.copies,
            "data/copies_in_two_classes": self.copies.in_two_classes,
            "data/copies_left_out": self.copies.left_out,
            "data/near_copies": self.copies.near_copies,
            "data/near_copies_on_two_sides": self.copies.near_on_two_sides,
        }


Ready = tuple[ExperimentData, Rows]  # with the features (N, feature_dim) of its rows


def display_names(resolutions: Sequence[Resolution], classes: np.ndarray) -> dict[str, str]:
    """Say which words stand for some classes.

    Args:
        resolutions: Of all classes.
        classes: Ids, positions in `resolutions`.

    Returns:
        Class name -> its words.
    """
    return {resolutions[c].name: resolutions[c].display_name for c in classes}


def audit_classes(
    names: Mapping[str, str],
    backbone: Backbone,
    stated_clean: Collection[str] = (),
    stated_overlapping: Mapping[str, str] | None = None,
) -> AuditReport:
    """Ask which classes the backbone's pretraining knew.

    Args:
        names: Name of each class of the data -> its words.
        backbone: Its categories are those of the pretraining.
        stated_clean: Classes that a person states to be clean.
        stated_overlapping: Classes that a person states to overlap -> the pretraining class.

    Returns:
        The overlaps, and the classes that cannot be placed.
    """
    report = leakage.audit(
        names, backbone.categories, imagenet1k_kinds(), stated_clean, stated_overlapping
    )
    return replace(report, unpublished=backbone.unpublished)
