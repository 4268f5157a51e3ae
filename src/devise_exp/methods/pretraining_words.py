"""The space `pretraining`: images among the words of the backbone's own classifier.

An image lies at the mixture of the vectors of its ten most probable pretraining classes (ConSE,
Norouzi et al. 2014), about the centre of all of them, as in the prior. Nothing is trained, so words
far from all classes of a run find ordinary images. Nothing is left out, unseen classes of the run
neither: the space serves searches alone, no metric is measured in it and no choice sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from devise_exp.core.vectors import normalize_rows
from devise_exp.evaluation.kinds import INCLUDES, imagenet1k_kinds
from devise_exp.methods.prior import PretrainedClassifier, priors
from devise_exp.text import labels
from devise_exp.text.names import split_synonyms
from devise_exp.text.text_vectors import SentenceVectors
from devise_exp.text.word_vectors.vectors import WordVectors

if TYPE_CHECKING:  # a search for words does without torch
    from devise_exp.features.backbones.base import Backbone, Head

PRETRAINING = "pretraining"
# The kinds of a class that count beside its own name: those of so many of ImageNet's 1,000 classes.
# By their names alone breeds of dogs are near no "dog". experiments/pretraining_space measures it.
FEWEST_CLASSES, MOST_CLASSES = 2, 150


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainingWords:
    """The K classes of a pretraining that have a word vector.

    Attributes:
        ids: (K,) their positions among all classes of the pretraining.
        categories: Their names.
        vectors: (K, D) unit rows: each class and the kinds of thing that it is.
    """

    ids: np.ndarray
    categories: tuple[str, ...]
    vectors: np.ndarray

    @cached_property
    def centre(self) -> np.ndarray:
        """(D,) the centre about which images and words are compared."""
        centre: np.ndarray = self.vectors.mean(axis=0)
        return centre

    def embed(self, features: np.ndarray, head: Head) -> np.ndarray:
        """Place images in the space.

        Args:
            features: (N, feature_dim) features.
            head: The backbone's own classifier, of all classes of the pretraining.

        Returns:
            (N, D) float32 unit rows, directions from the centre.
        """
        weight, bias = head.weight[self.ids], head.bias[self.ids]
        classifier = PretrainedClassifier(self.categories, weight, bias, self.vectors)
        (mixture,) = priors(classifier, [1.0])  # temperature and number of classes as by default
        return mixture.directions(features)


def pretraining_words(
    categories: Sequence[str],
    vectors: Sequence[np.ndarray | None],
    vocabulary: WordVectors,
) -> PretrainingWords | None:
    """Join the vector of each pretraining class with those of its kinds.

    Args:
        categories: Names of all classes of the pretraining.
        vectors: Word vector (D,) of each class, None if it has none.
        vocabulary: Gives the kinds their vectors.

    Returns:
        The classes that have a vector; None if fewer than two have.
    """
    ids = [i for i, vector in enumerate(vectors) if vector is not None]
    if len(ids) < 2:
        return None
    kinds = _kinds(categories, vocabulary)
    rows = [vector + kinds.get(i, 0) for i, vector in enumerate(vectors) if vector is not None]
    return PretrainingWords(
        ids=np.array(ids),
        categories=tuple(categories[i] for i in ids),
        vectors=normalize_rows(np.stack(rows)),
    )


def category_vectors(
    categories: Sequence[str], vocabulary: WordVectors
) -> tuple[np.ndarray | None, ...]:
    """Look up the word vectors of pretraining classes.

    Args:
        categories: Names of K classes, one "name, synonym, ..." for each.
        vocabulary: The word vectors.

    Returns:
        The vector (D,) of each class, None if it has none.
    """
    if isinstance(vocabulary, SentenceVectors):
        names = [split_synonyms(category)[0] for category in categories]
        return tuple(vocabulary.encode_texts(vocabulary.class_texts(names, [""] * len(names))))
    vectors: list[np.ndarray | None] = []
    for category in categories:
        (resolution,) = labels.resolve([category], vocabulary, on_missing="drop")
        known = bool(resolution.words)
        vectors.append(labels.class_vectors([resolution], vocabulary)[0] if known else None)
    return tuple(vectors)


def missing_classifier(backbone: Backbone) -> str | None:
    """Say why the own classifier of a backbone cannot name images.

    Args:
        backbone: The backbone.

    Returns:
        The reason, None if it can.
    """
    if backbone.categories is None:
        return f"nobody has published which classes the pretraining of {backbone.name} had"
    if not backbone.categories:
        return f"{backbone.name} has random weights, which know no classes"
    if backbone.trainable:
        return "the network is trained, so its own classifier no longer fits its features"
    if backbone.head is None:
        return f"the features of {backbone.name} are not those that its own classifier takes"
    return None


def _kinds(categories: Sequence[str], vocabulary: WordVectors) -> Mapping[int, np.ndarray]:
    """Class -> the unit mean (D,) of the vectors of its kinds; none for classes not ImageNet's."""
    table = imagenet1k_kinds()
    if not table.describes(categories):
        return {}
    senses = [
        sense
        for sense in table.senses
        if sense.relation == INCLUDES and FEWEST_CLASSES <= len(sense.classes) <= MOST_CLASSES
    ]
    names = [", ".join(sense.synonyms) for sense in senses]
    of_class: dict[int, list[np.ndarray]] = {}
    for sense, vector in zip(senses, category_vectors(names, vocabulary), strict=True):
        if vector is not None:
            for i in sense.classes:
                of_class.setdefault(i, []).append(vector)
    return {i: normalize_rows(np.mean(rows, axis=0)[None])[0] for i, rows in of_class.items()}
