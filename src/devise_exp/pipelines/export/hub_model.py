"""An exported model: it names images as its run did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.evaluation.metrics.calibrated_stacking import calibrated_search
from devise_exp.features.backbones.base import Preprocess
from devise_exp.index.exact_search import search_unit_rows
from devise_exp.methods.word_classifiers import ClassifierShare
from devise_exp.pipelines.export.model import WholeModel

_BATCH = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class HubModel:
    """An exported model that names images.

    Attributes:
        labels: C names of classes.
        seen: (C,) bool: whether the run trained on them.
        class_vectors: (C, D) unit rows of the labels, in the space of the images.
        gamma: What calibrated stacking lowers seen labels by; None for nothing.
        about: What the run rested on.
        preprocess: From an image to the network's input.
        model: Pixels to unit rows.
        classifiers: Predicted classifiers of the model; None if it has none.
    """

    labels: tuple[str, ...]
    seen: np.ndarray
    class_vectors: np.ndarray
    gamma: float | None
    about: Mapping[str, Any]
    preprocess: Preprocess
    model: WholeModel
    classifiers: ClassifierShare | None

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embed images.

        Args:
            images: N images.

        Returns:
            (N, D) float32 unit rows of the space of the class vectors.
        """
        rows = [np.empty((0, self.class_vectors.shape[1]), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = [self.preprocess(i.convert("RGB")) for i in images[start : start + _BATCH]]
                rows.append(self.model(torch.stack(batch)).numpy())
        return np.concatenate(rows)

    def words(self, vectors: np.ndarray) -> np.ndarray:
        """Put words in the space of the images.

        Args:
            vectors: (n, W) unit vectors of the word vectors that the run was trained with.

        Returns:
            (n, D) float32 unit rows: their products with those of images are cosines.
        """
        return vectors if self.classifiers is None else self.classifiers.words(vectors)

    def name_images(
        self, images: Sequence[Image.Image], k: int = 5, plain: bool = False
    ) -> list[list[tuple[str, float]]]:
        """Name images by the labels.

        Args:
            images: N images.
            k: Number of labels of each, or all of fewer.
            plain: Rank all labels by cosine as it is; else seen ones are lowered by gamma.

        Returns:
            For every image, the labels with the similarity that ranks them, nearest first.

        Raises:
            InputError: k is below 1.
        """
        if type(k) is not int or k < 1:
            raise InputError(f"k is {k!r}: give a whole number from 1 on")
        rows, n = self.embed(images), min(k, len(self.labels))
        gamma = None if plain or self.seen.all() or not self.seen.any() else self.gamma
        if gamma is None:
            result = self._search(rows, np.arange(len(self.labels)), n)
        else:
            seen = self._search(rows, np.flatnonzero(self.seen), n)
            unseen = self._search(rows, np.flatnonzero(~self.seen), n)
            result = calibrated_search(seen, unseen, gamma, n)
        return [
            [(self.labels[i], float(s)) for i, s in zip(ids, similarities, strict=True)]
            for ids, similarities in zip(*result, strict=True)
        ]

    def _search(self, rows: np.ndarray, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Labels (N, k) out of `ids`, or all of fewer, nearest first, and their cosines."""
        positions, cosines = search_unit_rows(self.class_vectors[ids], rows, min(k, len(ids)))
        return ids[positions], cosines
