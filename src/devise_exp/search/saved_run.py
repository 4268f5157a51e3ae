"""A finished run, opened for search: each part is loaded when it is first needed.

Words need no network, so a search for words imports nothing of torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.core.files import fingerprint
from devise_exp.core.vectors import centre_of
from devise_exp.evaluation.protocols import MODEL
from devise_exp.methods.pretraining_words import (
    PRETRAINING,
    PretrainingWords,
    category_vectors,
    missing_classifier,
    pretraining_words,
)
from devise_exp.methods.word_classifiers import ClassifierShare
from devise_exp.runs.folder import SPACES, RunFolder
from devise_exp.runs.gallery import Gallery
from devise_exp.runs.gallery_files import gallery_names, load
from devise_exp.runs.trusted_config import is_plain
from devise_exp.search.gallery_sync import SyncReport, sync
from devise_exp.text.word_vectors.vectors import WordVectors

if TYPE_CHECKING:
    from devise_exp.features.backbones.base import Backbone
    from devise_exp.search.encoder import ImageEncoder

PARTS = ("all", "val", "test", "unseen")


class Run:
    """A finished run: its classes, vocabulary, galleries and encoder.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.spaces = folder.spaces()

    @classmethod
    def open(cls, path: str | Path, trust: bool = False) -> Run:
        """Open a run folder.

        Args:
            path: The folder.
            trust: Whether parts of somebody's own that its config names are imported and built.

        Returns:
            The run.

        Raises:
            InputError: The path is not a folder of a finished run.
        """
        return cls(RunFolder.existing(path, trust))

    @cached_property
    def vocabulary(self) -> WordVectors:
        """The word vectors that the run was trained with, memory-mapped."""
        vocabulary: WordVectors = instantiate(self._trusted("word_vectors"))
        if vocabulary.dim != self.class_vectors.shape[1]:
            raise InputError(
                f"{self.folder.path}: its word vectors {vocabulary.name} have {vocabulary.dim} "
                f"dimensions now, not {self.class_vectors.shape[1]}: restore the file it was "
                "trained with"
            )
        return vocabulary

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Class name -> the words that stand for it."""
        return {record.name: record.words for record in self.folder.classes()}

    @cached_property
    def class_vectors(self) -> np.ndarray:
        """(C, W) unit word vectors, in the order of `classes`."""
        return self.folder.class_vectors()

    @cached_property
    def labels(self) -> np.ndarray:
        """(C, D) unit rows of the classes in the trained space, as images are in it."""
        return self.words_in(MODEL, self.class_vectors)

    @cached_property
    def centre(self) -> np.ndarray:
        """(D,) the centre about which images and words are compared in the trained space."""
        return centre_of(self.labels, self.folder.class_ids()[0])

    @cached_property
    def gamma(self) -> float | None:
        """What calibrated stacking lowers seen labels by, None if the run chose none."""
        return self.folder.gamma()

    @cached_property
    def none_threshold(self) -> float | None:
        """Largest cosine below which an image is of none of the labels, None if none was chosen."""
        return self.folder.none_threshold()

    @cached_property
    def pretraining(self) -> PretrainingWords | None:
        """The words of the space "pretraining", None if the run has no such space."""
        return self.folder.pretraining_words()

    def centre_in(self, space: str) -> np.ndarray:
        """Take the centre about which images and words are compared in a space of words.

        Args:
            space: "devise" or "pretraining".

        Returns:
            (D,) the centre.

        Raises:
            InputError: If no words can be searched in this space of the run.
        """
        if space == MODEL:
            return self.centre
        if space == PRETRAINING:
            if self.pretraining is None:
                raise InputError(self._without_pretraining())
            return self.pretraining.centre
        if space not in SPACES:
            raise _no_space(space, (MODEL, PRETRAINING))
        raise InputError(
            f"words are in the spaces {MODEL} and {PRETRAINING} only, not in {space}: choose one "
            "of them, or look for images by an image alone (devise-exp similar)"
        )

    def words_in(self, space: str, vectors: np.ndarray) -> np.ndarray:
        """Put words in a space of words, as images are there before they are centred.

        Args:
            space: "devise" or "pretraining".
            vectors: (n, W) unit word vectors.

        Returns:
            (n, D) float32 unit rows.
        """
        if space != MODEL or self._classifiers is None:
            return vectors
        return self._classifiers.words(vectors)

    def galleries(self) -> list[str]:
        """List the galleries that can be searched.

        Returns:
            Parts of the run's own images, then the indexed folders.
        """
        return [*PARTS, *gallery_names(self.folder.path / "galleries")]

    def gallery(self, name: str, space: str = MODEL) -> Gallery:
        """Load a gallery.

        Args:
            name: A part of the run's own images (all, val, test, unseen), or an indexed folder.
            space: Space that the images are compared in.

        Returns:
            The gallery.

        Raises:
            InputError: If there is no such space or gallery.
        """
        if space not in SPACES:
            raise _no_space(space, SPACES)
        if space not in self.spaces and space == PRETRAINING:
            raise InputError(self._without_pretraining())
        if space not in self.spaces:
            raise InputError(
                f"{self.folder.path}: its images are stored in {', '.join(self.spaces)}, not in "
                f"{space}: train with 'spaces=[{space}]'"
            )
        if name in PARTS:
            return self._with_user_index(load(self.folder.gallery, space).part(name))
        folder = self._gallery_folder(Path(name))
        if not folder.is_dir():
            if not Path(name).expanduser().is_dir():
                raise InputError(
                    f"{name}: no such folder: give a folder of images, or choose among "
                    f"{', '.join(PARTS)}"
                )
            raise InputError(
                f"{name}: not indexed yet: devise-exp index {self.folder.path} {name} (or "
                f"choose among {', '.join(PARTS)})"
            )
        return self._with_user_index(load(folder, space))

    def index_folder(self, folder: Path) -> SyncReport:
        """Embed the images of a folder that are new or changed, and index them all.

        Args:
            folder: A folder of images, with or without classes.

        Returns:
            What has changed.
        """
        make_index = instantiate(self._trusted("index"))
        self._add_pretraining()
        target = self._gallery_folder(folder)
        return sync(target, folder, self.embed, make_index, self.spaces)

    def embed(self, images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        """Embed images; the network is built at the first call.

        Args:
            images: N images.

        Returns:
            Space -> (N, D) unit rows.
        """
        return self._encoder(images)

    def name_images(self, images: Sequence[Image.Image], k: int) -> list[list[tuple[str, float]]]:
        """Say what the backbone's own classifier calls images.

        Args:
            images: N images.
            k: How many of its classes.

        Returns:
            For every image, the most probable classes with their probabilities, best first.

        Raises:
            InputError: If the backbone has no such classifier that fits its features.
        """
        return self._encoder.name(images, k)

    @cached_property
    def _classifiers(self) -> ClassifierShare | None:
        return self.folder.word_classifiers()

    def _add_pretraining(self) -> None:
        """Give a run of before the words of the space "pretraining", if its backbone has any."""
        if PRETRAINING in self.spaces:
            return
        backbone: Backbone = instantiate(self._trusted("backbone"))
        if missing_classifier(backbone) is not None:
            return
        categories = backbone.categories or ()
        vectors = category_vectors(categories, self.vocabulary)
        words = pretraining_words(categories, vectors, self.vocabulary)
        if words is not None:
            self.folder.save_pretraining_words(words)
            self.spaces = self.folder.spaces()

    def _without_pretraining(self) -> str:
        """The line that says why there is no space "pretraining", and what to do."""
        backbone: Backbone = instantiate(self._trusted("backbone"))
        reason = missing_classifier(backbone)
        remedy = f"search in {MODEL}, or train with a backbone whose own classifier is known"
        if reason is None:
            reason = "the run is of before this space, or few of the classes have a word vector"
            remedy = f"index a folder of images (devise-exp index {self.folder.path} FOLDER)"
        return f"{self.folder.path}: has no space {PRETRAINING}: {reason}: {remedy}"

    @cached_property
    def _encoder(self) -> ImageEncoder:
        from devise_exp.search.encoder import ImageEncoder

        return ImageEncoder(self.folder, self.centre)

    def _with_user_index(self, gallery: Gallery) -> Gallery:
        """The gallery with an index of somebody's own, of which only the vectors are kept."""
        part = self.folder.config().get("index")
        if not part or is_plain("index", OmegaConf.to_container(part)):
            return gallery
        make_index = instantiate(self._trusted("index"))
        return replace(gallery, index=make_index(gallery.index.vectors))

    def _trusted(self, group: str) -> Any:
        return self.folder.part(group)

    def _gallery_folder(self, folder: Path) -> Path:
        """Where the gallery of a folder is kept."""
        whole = str(folder.expanduser().resolve())
        return self.folder.path / "galleries" / fingerprint(whole, size=8)


def _no_space(space: str, spaces: Sequence[str]) -> InputError:
    """The line for a space that no run has."""
    return InputError(f"space {space}: there is none; choose among {', '.join(spaces)}")
