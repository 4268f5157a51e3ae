"""The words of a config's classes, asked for as soon as the classes are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.data.listing import Listed
from devise_exp.data.scan import is_image
from devise_exp.pipelines.label_entries import label_entries, with_file
from devise_exp.pipelines.user_parts import built
from devise_exp.text import labels
from devise_exp.text.missing_words import MissingWordsError
from devise_exp.text.resolution import Resolution
from devise_exp.text.word_vectors.vectors import WordVectors

Words = tuple[Resolution, ...]
_TRIED = 5  # files of a class that are opened to see whether it has an image


@dataclass(frozen=True, eq=False)
class ClassWords:
    """The words of classes, by config.labels and config.word_vectors.

    Attributes:
        config: Of train.py.
        on_missing: What happens to classes without a word vector: error, drop or nearest.
        strict: Whether two classes of the same words, or one without any, are an error.
    """

    config: DictConfig
    on_missing: str
    strict: bool

    @property
    def all_count(self) -> bool:
        """Whether every class has to have words, as far as its images let it take part."""
        all_known = self.config.labels.get("on_unknown", "error") == "error"
        return all_known and self.on_missing == "error" and self.config.subset.min_images is None

    @cached_property
    def vocabulary(self) -> WordVectors:
        """The word vectors, read when they are first asked for."""
        vocabulary = instantiate(self.config.word_vectors)
        return built(vocabulary, WordVectors, "word_vectors", self.config)

    def of(self, classes: Sequence[str], kept: Sequence[str]) -> tuple[np.ndarray, Words]:
        """Merge classes, and find words for what is left.

        Args:
            classes: Names of all classes of the data.
            kept: Those that a subset has left.

        Returns:
            (K,) the number of the merged class of each class that is kept; and the words of the
            merged classes.

        Raises:
            InputError: Classes have no words, or entries of config.labels do not fit.
        """
        options = self.config.labels
        entries = partial(label_entries, options, classes=classes, kept=kept)
        names, merged = labels.merge_classes(kept, entries(option="merges"))
        vocabulary, aliases = self.vocabulary, entries(option="aliases")
        try:
            resolutions = labels.resolve(
                names, vocabulary, aliases, self.on_missing, self.strict, of_classes=True
            )
        except MissingWordsError as error:
            raise with_file(error, aliases, options.get("aliases_file")) from None
        return merged, resolutions

    def look_at(self, listed: Listed) -> None:
        """Raise what is wrong with the names of classes before their images are read.

        Args:
            listed: The classes with their files.

        Raises:
            InputError: Classes have no words, or entries of config.labels do not fit.
        """
        try:
            self.of(sorted(listed), sorted(listed))
        except InputError:
            # A class of no good image is left out later, and with it what is wrong with its name.
            if all(any(map(is_image, files[:_TRIED])) for files in listed.values()):
                raise
