"""Many texts in two arrays instead of an object for each, which may be mapped from files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import SupportsIndex, overload

import numpy as np

from devise_exp.core.array_files import load_array

TEXTS_AT_ONCE = 1 << 16
MANY_TEXTS = 1 << 18  # from which on a column is worth it


class TextColumn(Sequence[str]):
    """N texts, decoded on access.

    Args:
        content: (B,) uint8, the texts in UTF-8, one after another.
        ends: (N,) int64, where each ends.

    Example:
        >>> column = TextColumn.of(["okapi", "", "köln"])
        >>> len(column), column[2], list(column[:2])
        (3, 'köln', ['okapi', ''])
    """

    def __init__(self, content: np.ndarray, ends: np.ndarray) -> None:
        kinds_differ = content.dtype != np.uint8 or ends.dtype != np.int64
        if kinds_differ or (content.ndim, ends.ndim) != (1, 1):
            raise ValueError(
                f"texts of {content.dtype} {content.shape} and {ends.dtype} {ends.shape}: give "
                "uint8 and int64 in one dimension"
            )
        if (ends[:1] < 0).any() or (np.diff(ends) < 0).any() or (ends[-1:] > len(content)).any():
            raise ValueError(f"ends of texts do not divide {len(content)} bytes")
        self._content, self._ends = content, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextColumn:
        """Pack texts.

        Args:
            texts: The texts.

        Returns:
            The column.
        """
        content, ends = bytearray(), []
        for text in texts:
            content += text.encode("utf-8", "surrogateescape")
            ends.append(len(content))
        return cls(np.frombuffer(bytes(content), np.uint8), np.array(ends, dtype=np.int64))

    @classmethod
    def load(cls, folder: Path, name: str) -> TextColumn:
        """Map a column that `save` wrote.

        Args:
            folder: Folder of the files.
            name: Name of the column.

        Returns:
            The column; of damaged files ValueError.
        """
        arrays = (
            load_array(folder / f"{name}.{part}.npy", mapped=True) for part in ("text", "ends")
        )
        return cls(*arrays)

    def save(self, folder: Path, name: str) -> None:
        """Write the column.

        Args:
            folder: Folder of the files.
            name: Name of the column.
        """
        # A mapped file has a byte at least: one that belongs to no text.
        np.save(folder / f"{name}.text.npy", np.append(self._content, np.uint8(0)))
        np.save(folder / f"{name}.ends.npy", self._ends)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | tuple[str, ...]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return tuple(self[i] for i in numbers)
        start = self._ends[numbers - 1] if numbers else 0
        return _text(self._content[start : self._ends[numbers]])

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), TEXTS_AT_ONCE):
            ends = self._ends[first : first + TEXTS_AT_ONCE]
            start = int(self._ends[first - 1]) if first else 0
            content = self._content[start : ends[-1]].tobytes()
            borders = [0, *(ends - start).tolist()]
            for begin, end in pairwise(borders):
                yield content[begin:end].decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextColumn | tuple):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((len(self), self._content.tobytes()))


def packed(texts: Sequence[str]) -> Sequence[str]:
    """Keep many texts as a column, few as a tuple.

    Args:
        texts: The texts.

    Returns:
        The same texts.
    """
    return TextColumn.of(texts) if len(texts) >= MANY_TEXTS else tuple(texts)


def _text(content: np.ndarray) -> str:
    return content.tobytes().decode("utf-8", "surrogateescape")
