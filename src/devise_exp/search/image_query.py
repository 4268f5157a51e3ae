"""The images of a query: files or images in memory, one or several of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL.Image import Image

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.data.file_names import portable
from devise_exp.runs.gallery import Gallery
from devise_exp.search.saved_run import Run

QueryImage = Path | Image


@dataclass(frozen=True)
class ImageQuery:
    """The images of a query.

    Attributes:
        images: Files, or images in memory.
    """

    images: tuple[QueryImage, ...]

    @property
    def title(self) -> str:
        """What an answer calls them; "" if there is none."""
        if len(self.images) > 1:
            return f"{len(self.images):,} images"
        names = [portable(i.name) if isinstance(i, Path) else "an image" for i in self.images]
        return "".join(names)

    def rows(self, gallery: Gallery) -> frozenset[int]:
        """Look for the files in a gallery.

        Args:
            gallery: The gallery.

        Returns:
            Rows of those that it has; they are no hits.
        """
        rows = (gallery.row_of(image) for image in self.images if isinstance(image, Path))
        return frozenset(row for row in rows if row is not None)

    def vector(self, run: Run, gallery: Gallery, space: str) -> np.ndarray:
        """Take what the images have in common.

        Args:
            run: The run, which embeds images that the gallery does not have.
            gallery: The gallery.
            space: The space.

        Returns:
            (D,) the vector of one image, or the mean of several at unit length.

        Raises:
            InputError: An image cannot be read, or the images cancel out.
        """
        rows = [gallery.row_of(i) if isinstance(i, Path) else None for i in self.images]
        new = [_opened(i) for i, row in zip(self.images, rows, strict=True) if row is None]
        embedded = iter(run.embed(new)[space] if new else ())
        vectors = [next(embedded) if row is None else gallery.index.vectors[row] for row in rows]
        if len(vectors) == 1:
            return np.asarray(vectors[0])
        mean = np.mean(vectors, axis=0)
        length = float(np.linalg.norm(mean))
        if not length > 1e-6:
            raise InputError(f"the {len(vectors)} images cancel out: leave one out")
        return np.asarray(mean / length, dtype=np.float32)


def _opened(image: QueryImage) -> Image:
    return open_image(image) if isinstance(image, Path) else image.convert("RGB")
