"""Sequences of images: files that are opened on access, or arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import SupportsIndex, overload

import numpy as np
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import as_rgb


class ImageFiles(Sequence[Image.Image]):
    """Image files, opened as RGB on access; no file stays open, so the sequence pickles.

    Args:
        paths: The files.
        min_side: Pixels that the shorter side of a JPEG keeps; larger JPEGs are decoded at a half,
            a quarter or an eighth of their size. None: at full size.
    """

    def __init__(self, paths: Iterable[str], min_side: int | None = None) -> None:
        self.paths, self.min_side = tuple(paths), min_side

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Image.Image | ImageFiles:
        if isinstance(index, slice):
            return ImageFiles(self.paths[index], self.min_side)
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                if self.min_side is not None:
                    image.draft(None, (self.min_side, self.min_side))
                return as_rgb(image)
        except OSError as error:
            raise InputError(
                f"{path}: the image could be opened when the dataset was scanned but not now "
                f"({error.strerror or error}); restore it or start again without it"
            ) from error

    def take(self, indices: Iterable[int]) -> ImageFiles:
        """Select images.

        Args:
            indices: Their positions.

        Returns:
            The images in this order.
        """
        return ImageFiles((self.paths[index] for index in indices), self.min_side)

    def reduced(self, min_side: int) -> ImageFiles:
        """Decode JPEGs at a reduced size.

        Args:
            min_side: Pixels that the shorter side keeps.

        Returns:
            The same files.
        """
        return ImageFiles(self.paths, min_side)


class ImageArrays(Sequence[Image.Image]):
    """Images in memory.

    Args:
        arrays: (N, height, width, 3) uint8.
    """

    def __init__(self, arrays: np.ndarray) -> None:
        if arrays.ndim != 4 or arrays.shape[3] != 3 or arrays.dtype != np.uint8:
            raise ValueError(f"images of shape {arrays.shape} and type {arrays.dtype}")
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> ImageArrays: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Image.Image | ImageArrays:
        chosen = self.arrays[index]
        return ImageArrays(chosen) if isinstance(index, slice) else Image.fromarray(chosen)

    def take(self, indices: Iterable[int]) -> ImageArrays:
        """Select images.

        Args:
            indices: Their positions.

        Returns:
            The images in this order.
        """
        return ImageArrays(self.arrays[list(indices)])
