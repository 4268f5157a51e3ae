"""A finished run, opened for asking: each part is loaded when it is first needed.

Words need no network, so a search for them imports nothing of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.core.files import fingerprint
from devise_exp.core.vectors import centre_of
from devise_exp.evaluation.protocols import MODEL
from devise_exp.runs.folder import SPACES, RunFolder
from devise_exp.runs.gallery import Gallery, folders, load
from devise_exp.search.gallery_sync import SyncReport, sync
from devise_exp.text.word_vectors.vectors import WordVectors

PARTS = ("all", "val", "test", "unseen")


class Run:
    """What a run folder knows; `spaces` are those that its images are stored in, the trained one
    first.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.spaces = folder.spaces()

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """InputError where `path` is no folder of a finished run."""
        return cls(RunFolder.existing(path))

    @cached_property
    def vocabulary(self) -> WordVectors:
        """The word vectors that the run was trained with, memory-mapped."""
        found: WordVectors = instantiate(self.folder.part("word_vectors"))
        if found.dim != self.class_vectors.shape[1]:
            raise InputError(
                f"{self.folder.path}: its word vectors {found.name} have {found.dim} dimensions "
                f"now, not {self.class_vectors.shape[1]}: restore the file it was trained with"
            )
        return found

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Class name -> the words that stand for it."""
        return {entry["name"]: tuple(entry["words"]) for entry in self.folder.classes()}

    @cached_property
    def class_vectors(self) -> np.ndarray:
        """(C, D) unit rows, in the order of `classes`."""
        return self.folder.class_vectors()

    @cached_property
    def centre(self) -> np.ndarray:
        """(D,) what images and words are compared about in the trained space."""
        return centre_of(self.class_vectors, self.folder.class_ids()[0])

    def galleries(self) -> list[str]:
        """What can be searched: parts of the run's own images, then the indexed folders."""
        return [*PARTS, *folders(self.folder.path / "galleries")]

    def gallery(self, name: str, space: str = MODEL) -> Gallery:
        """The run's own images (all, val, test, unseen), or a folder that was indexed."""
        if space not in SPACES:
            raise InputError(f"space {space}: there is none; choose among {', '.join(SPACES)}")
        if space not in self.spaces:
            raise InputError(
                f"{self.folder.path}: its images are stored in {', '.join(self.spaces)}, not in "
                f"{space}: train with 'spaces=[{space}]'"
            )
        if name in PARTS:
            return load(self.folder.gallery, space).part(name)
        place = self._place(Path(name))
        if not place.is_dir():
            raise InputError(
                f"{name}: not indexed yet: devise-exp index {self.folder.path} {name} (or "
                f"choose among {', '.join(PARTS)})"
            )
        return load(place, space)

    def index_folder(self, folder: Path) -> SyncReport:
        """Embed the images of a folder that are new or changed, and index them all."""
        make_index = instantiate(self.folder.part("index"))
        return sync(self._place(folder), folder, self.embed, make_index)

    def embed(self, images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        """Space -> (N, D) unit rows; the network is built at the first call."""
        return self._encoder(images)

    @cached_property
    def _encoder(self) -> Callable[[Sequence[Image.Image]], dict[str, np.ndarray]]:
        from devise_exp.search.encoder import ImageEncoder

        return ImageEncoder(self.folder, self.centre)

    def _place(self, folder: Path) -> Path:
        """Where the gallery of a folder is kept."""
        whole = str(folder.expanduser().resolve())
        return self.folder.path / "galleries" / fingerprint(whole, size=8)
