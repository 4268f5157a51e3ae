"""The arrays of a run folder: class vectors, embeddings, rankings, the prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from devise_exp.evaluation.protocols import MODEL, MethodOutput
from devise_exp.methods.pretraining_words import PRETRAINING, PretrainingWords
from devise_exp.methods.prior import Prior
from devise_exp.methods.word_classifiers import ClassifierShare
from devise_exp.runs import checked, files
from devise_exp.runs.arrays import (
    from_classifiers,
    from_output,
    from_pretraining_words,
    from_prior,
    to_classifier,
    to_classifiers,
    to_output,
    to_pretraining_words,
    to_prior,
)
from devise_exp.runs.class_records import classes_from_json

T = TypeVar("T")


@dataclass(frozen=True)
class RunArrays:
    """The array files of a run folder. Reading raises InputError if one is not there or damaged.

    Attributes:
        path: The folder.
    """

    path: Path

    def class_vectors(self) -> np.ndarray:
        """Read class_vectors.npy.

        Returns:
            (C, D) unit rows.
        """
        rows = self._n_classes()
        return files.read_vectors(
            self.path, "class_vectors.npy", lambda vectors: checked.matrix(vectors, rows=rows)
        )

    def save_additions(self, prior: Prior | None, classifiers: ClassifierShare | None) -> None:
        """Write prior.npz and word_classifiers.npz: what is embedded later needs them too.

        Args:
            prior: The prior of the trained model, None for none.
            classifiers: Its predicted classifiers, None for none.
        """
        if prior is not None:
            self.save_arrays("prior", from_prior(prior))
        if classifiers is not None:
            self.save_arrays("word_classifiers", from_classifiers(classifiers))

    def additions(self) -> tuple[Prior | None, ClassifierShare | None]:
        """Read what was added to the trained projection.

        Returns:
            The prior and the predicted classifiers, None for one that the model does not have.
        """
        return self.prior(), self.word_classifiers()

    def prior(self) -> Prior | None:
        """Read prior.npz.

        Returns:
            The prior of the trained model, None if it has none.
        """
        return self._if_there("prior", to_prior)

    def word_classifiers(self) -> ClassifierShare | None:
        """Read word_classifiers.npz.

        Returns:
            The predicted classifiers of the trained model, None if it has none.
        """
        return self._if_there("word_classifiers", to_classifiers)

    def save_pretraining_words(self, words: PretrainingWords) -> None:
        """Write pretraining.npz: words that are searched in the space of that name need it.

        Args:
            words: Of the backbone's own classifier.
        """
        self.save_arrays(PRETRAINING, from_pretraining_words(words))

    def pretraining_words(self) -> PretrainingWords | None:
        """Read pretraining.npz.

        Returns:
            The words of the space "pretraining", None if the run has no such space.
        """
        return self._if_there(PRETRAINING, to_pretraining_words)

    def save_embedded(self, output: MethodOutput) -> None:
        """Write embeddings/NAME.npz.

        Args:
            output: What a method makes of the evaluated images.
        """
        self.save_arrays(f"embeddings/{output.name}", from_output(output))

    def embedded(self, name: str) -> MethodOutput:
        """Read embeddings/NAME.npz.

        Args:
            name: Name of the method.

        Returns:
            What the method makes of the evaluated images.
        """
        parse = partial(to_output, name, classes=self._n_classes())
        return files.read_arrays(self.path, f"embeddings/{name}.npz", parse)

    def gamma(self) -> float | None:
        """Read the gamma of the trained model, and nothing else of its embeddings.

        Returns:
            What calibrated stacking lowers seen labels by, None if none was chosen or stored.
        """
        name = f"embeddings/{MODEL}.npz"
        arrays = files.read_some_arrays(self.path, name, ("factor",), checked.gamma)
        return float(arrays["factor"]) if arrays else None

    def none_threshold(self) -> float | None:
        """Read the threshold of "none of the labels" of the trained model, and nothing else.

        Returns:
            The largest cosine with a label below which an image is of none of them; None if none
            was chosen or stored.
        """
        name, key = f"embeddings/{MODEL}.npz", "none_threshold"
        arrays = files.read_some_arrays(self.path, name, (key,), checked.gamma)
        return float(arrays[key]) if arrays else None

    def save_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write NAME.npz.

        Args:
            name: Path of the file without its ending.
            arrays: Arrays by name.
        """
        files.write_arrays(self.path, f"{name}.npz", arrays)

    def classifier(self) -> tuple[np.ndarray, np.ndarray]:
        """Read classifier.npz.

        Returns:
            Weight (S, F) and bias (S,) of the classifier of that space.
        """
        return files.read_arrays(self.path, "classifier.npz", to_classifier)

    def neighbours(self, *keys: str) -> dict[str, np.ndarray]:
        """Read neighbours.npz.

        Args:
            *keys: Rankings to read, those that are there; none: all.

        Returns:
            Class ids (N, K) by ranking, nearest first; empty if the file is not there.
        """
        return files.read_some_arrays(self.path, "neighbours.npz", keys, checked.table)

    def truth(self, side: str) -> np.ndarray | None:
        """Read the true classes of the evaluated images.

        Args:
            side: seen or unseen.

        Returns:
            (N,) class ids, None if they are not there.
        """
        name, key = f"embeddings/{MODEL}.npz", f"{side}_truth"
        return files.read_some_arrays(self.path, name, (key,), checked.ids).get(key)

    def _if_there(self, name: str, parse: Callable[[Mapping[str, np.ndarray]], T]) -> T | None:
        """Read NAME.npz, None if there is no such file."""
        if not (self.path / f"{name}.npz").is_file():
            return None
        return files.read_arrays(self.path, f"{name}.npz", parse)

    def _n_classes(self) -> int | None:
        """How many classes there are, None before they are written."""
        if not (self.path / "classes.json").is_file():
            return None
        return len(files.read_json(self.path, "classes.json", classes_from_json))
