"""The words of a table: one memory-mapped text, cut into words when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import overload

import numpy as np

_BLOCK = 8192  # words decoded at a time
_SEARCHED_ROWS = 400_000  # of a longer list, the most frequent words are near enough
_MIN_SIMILARITY = 0.7


class WordList(Sequence[str]):
    """Words in row order, which is the order of frequency.

    Args:
        text: (B,) uint8, all words end to end as UTF-8.
        offsets: (n + 1,) uint64, where each word begins in `text`, and B.
    """

    def __init__(self, text: np.ndarray, offsets: np.ndarray) -> None:
        self._text = text
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            start, stop, step = row.indices(len(self))
            if step != 1:
                return [self[i] for i in range(start, stop, step)]
            return self._decoded(start, max(start, stop))
        row = range(len(self))[row]  # an IndexError beyond either end
        return self.encoded(row).decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK):
            yield from self._decoded(start, min(start + _BLOCK, len(self)))

    def encoded(self, row: int) -> bytes:
        """Return one word undecoded.

        Args:
            row: Its row.

        Returns:
            The word as UTF-8.
        """
        return bytes(self._text[int(self._offsets[row]) : int(self._offsets[row + 1])])

    def near_spellings(self, word: str, n: int = 3) -> list[str]:
        """List the words that typing slips may have turned into `word`.

        Only the 400,000 most frequent words are searched, and of these only those of about its
        length, so that time and memory stay bounded. Only the case of ASCII letters is ignored.

        Args:
            word: The wrong spelling.
            n: How many words to list at most.

        Returns:
            Words in one of their cases, the nearest first; the more frequent one if equally near.
        """
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        query = word.lower()
        size = len(query.encode("utf-8", "replace"))  # bytes
        edges = np.array(self._offsets[: _SEARCHED_ROWS + 1], dtype=np.int64)
        lengths = np.diff(edges)
        near = (lengths >= _MIN_SIMILARITY * size) & (lengths <= size / _MIN_SIMILARITY)
        rows = np.flatnonzero(near)
        text = bytes(self._text[: edges[-1]]).lower()
        spans = zip(edges[rows].tolist(), edges[rows + 1].tolist(), strict=True)
        choices = [text[start:end].decode() for start, end in spans]
        matches = process.extract(
            query,
            choices,
            scorer=OSA.normalized_similarity,
            score_cutoff=_MIN_SIMILARITY,
            limit=4 * n,  # some may differ in case alone
        )
        row_of: dict[str, int] = {}
        for spelling, _, i in matches:
            row_of.setdefault(spelling, int(rows[i]))
        return [self[row] for row in list(row_of.values())[:n]]

    def _decoded(self, start: int, stop: int) -> list[str]:
        """Return the words of consecutive rows."""
        edges = self._offsets[start : stop + 1].tolist()
        text = bytes(self._text[edges[0] : edges[-1]])
        ends = [edge - edges[0] for edge in edges]
        return [text[start:end].decode("utf-8") for start, end in pairwise(ends)]
