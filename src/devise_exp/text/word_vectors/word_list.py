"""The words of a table: one memory-mapped text, cut into words when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
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

        Only the 400,000 most frequent words are searched, so that time and memory stay bounded.
        Only the case of ASCII letters is ignored.

        Args:
            word: The wrong spelling.
            n: How many words to list at most.

        Returns:
            Words in one of their cases, the nearest first; the more frequent one if equally near.
        """
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        matches = process.extract(
            word.lower(),
            self._lowered,
            scorer=OSA.normalized_similarity,
            score_cutoff=_MIN_SIMILARITY,
            limit=n,
        )
        return [self[row] for _, _, row in matches]

    @cached_property
    def _lowered(self) -> dict[int, str]:
        """Row -> spelling in lower case, of the frequent words; the first row of each spelling."""
        edges = self._offsets[: _SEARCHED_ROWS + 1].tolist()
        text = bytes(self._text[: edges[-1]]).lower()  # as bytes, so ASCII letters alone
        row_of: dict[str, int] = {}
        for row, (start, end) in enumerate(pairwise(edges)):
            row_of.setdefault(text[start:end].decode("utf-8"), row)
        return {row: spelling for spelling, row in row_of.items()}

    def _decoded(self, start: int, stop: int) -> list[str]:
        """Return the words of consecutive rows."""
        edges = self._offsets[start : stop + 1].tolist()
        text = bytes(self._text[edges[0] : edges[-1]])
        ends = [edge - edges[0] for edge in edges]
        return [text[start:end].decode("utf-8") for start, end in pairwise(ends)]
