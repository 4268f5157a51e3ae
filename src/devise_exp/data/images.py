"""Sequences of images: files that are opened on access, or arrays in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import SupportsIndex, overload

import numpy as np
from PIL import Image

from devise_exp.core.errors import InputError
from devise_exp.core.text_column import packed
from devise_exp.data.decoding import MAX_PIXELS, decode, is_drafted, read_whole


class ImageFiles(Sequence[Image.Image]):
    """Image files, opened as RGB on access; no file stays open, so the sequence pickles.

    Args:
        paths: The files.
        min_side: Pixels that the shorter side of a JPEG keeps; larger JPEGs are decoded at a half,
            a quarter or an eighth of their size. None: at full size.
        max_pixels: Larger images are refused.
    """

    def __init__(
        self, paths: Iterable[str], min_side: int | None = None, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.paths, self.min_side, self.max_pixels = packed(tuple(paths)), min_side, max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Image.Image | ImageFiles:
        if isinstance(index, slice):
            return ImageFiles(self.paths[index], self.min_side, self.max_pixels)
        path = self.paths[int(index)]
        content = read_whole(Path(path))
        draft = None if self.min_side is None else (self.min_side, self.min_side)
        image = content if isinstance(content, str) else decode(content, draft, self.max_pixels)
        if isinstance(image, str):
            raise InputError(
                f"{path}: the image could be opened when the dataset was scanned but not now "
                f"({image}); restore it or start again without it"
            )
        return image

    def take(self, indices: Iterable[int]) -> ImageFiles:
        """Select images.

        Args:
            indices: Their positions.

        Returns:
            The images in this order.
        """
        paths = (self.paths[index] for index in indices)
        return ImageFiles(paths, self.min_side, self.max_pixels)

    def reduced(self, min_side: int) -> ImageFiles:
        """Decode JPEGs at a reduced size.

        Args:
            min_side: Pixels that the shorter side keeps.

        Returns:
            The same files.
        """
        return ImageFiles(self.paths, min_side, self.max_pixels)

    def is_reduced(self, index: int) -> bool:
        """Tell whether an image is decoded at a reduced size, by its header.

        Args:
            index: Its position.

        Returns:
            Whether it is; False if it cannot be read.
        """
        content = b"" if self.min_side is None else read_whole(Path(self.paths[index]))
        if isinstance(content, str) or self.min_side is None:
            return False
        return is_drafted(content, (self.min_side, self.min_side))


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
