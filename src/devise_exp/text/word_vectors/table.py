"""The table of unit word vectors on disk: written once from a stream, memory-mapped ever after.

A table is a folder of raw little-endian arrays beside meta.json, for n words of dimension D:
vectors.f32 (n, D) unit rows; words.utf8 all words end to end; offsets.u64 (n + 1) where each begins
in it; hashes.u64 (n) the sorted hashes of the words; rows.u32 (n) the row of each of these hashes;
and for fastText models ngrams.f32 (buckets, D), the raw subword vectors. Opening reads meta.json
alone; looking a word up touches a few pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, file_lock
from devise_exp.text.word_vectors.sources import NGRAMS, Subwords, VectorSource
from devise_exp.text.word_vectors.table_writer import LAYOUT, word_hash, write_table
from devise_exp.text.word_vectors.word_list import WordList


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class VectorTable:
    """An opened table; its arrays are memory-mapped and read-only.

    Attributes:
        vectors: (n, D) float32 unit rows.
        words: n words in row order.
        hashes: (n,) uint64, the sorted hashes of the words.
        rows: (n,) uint32, the row of each hash.
        subwords: How a word is cut into n-grams, in a table of a fastText model.
        ngrams: (buckets, D) float32, the vectors of n-grams as read.
    """

    vectors: np.ndarray
    words: WordList
    hashes: np.ndarray
    rows: np.ndarray
    subwords: Subwords | None = None
    ngrams: np.ndarray | None = None

    def row(self, word: str) -> int | None:
        """Look a word up.

        Args:
            word: Exactly the spelling in the table.

        Returns:
            Its row, or None.
        """
        encoded = word.encode("utf-8", "surrogatepass")
        i = int(np.searchsorted(self.hashes, np.uint64(word_hash(encoded))))
        if i == len(self.hashes):
            return None
        row = int(self.rows[i])
        return row if self.words.encoded(row) == encoded else None

    def subword_vector(self, word: str) -> np.ndarray | None:
        """Add up the vectors of a word's n-grams.

        Args:
            word: Any text.

        Returns:
            (D,) float32 unit vector, or None if the table or the word has no n-grams.
        """
        rows = [] if self.subwords is None else self.subwords.rows(word)
        if self.ngrams is None or not rows:
            return None
        total = self.ngrams[rows].sum(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(total))
        return (total / length).astype(np.float32) if length > 0 else None


def empty_table(dim: int) -> VectorTable:
    """Make a table of no words, for vectors that are computed.

    Args:
        dim: D.

    Returns:
        A table with `vectors` of shape (0, D).
    """
    no_words = np.empty(0, np.uint64)
    return VectorTable(
        vectors=np.empty((0, dim), np.float32),
        words=WordList(np.empty(0, np.uint8), np.zeros(1, np.uint64)),
        hashes=no_words,
        rows=no_words,
    )


def open_or_build(
    folder: Path, read: Callable[[Path], VectorSource], limit: int | None, lower: bool = False
) -> VectorTable:
    """Open a table, and build it first if it is missing or damaged.

    Args:
        folder: The table's folder.
        read: Gives the words; it may write NGRAMS into the folder that it is handed.
        limit: How many words to keep at most; None for all.
        lower: Whether words are lower-cased.

    Returns:
        The table.

    Raises:
        InputError: The file that `read` opens is broken, or the disk fails.
    """
    table = open_table(folder)
    if table is not None:
        return table
    with file_lock(folder):
        table = open_table(folder)  # another process may have built it meanwhile
        if table is None:
            with atomic_path(folder) as new:
                new.mkdir()
                write_table(new, read(new), limit, lower)
            table = open_table(folder)
    if table is None:
        raise InputError(f"{folder}: just written, yet not whole; is the disk full or failing?")
    return table


def open_table(folder: Path) -> VectorTable | None:
    """Open a table.

    Args:
        folder: The table's folder.

    Returns:
        The table, or None if it is missing, cut short or of another layout.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in meta["sizes"]}
        if meta["layout"] != LAYOUT or sizes != meta["sizes"]:
            return None
        count, dim = int(meta["count"]), int(meta["dim"])
        subwords = Subwords(**meta["subwords"]) if meta["subwords"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None

    def mapped(name: str, dtype: str, *shape: int) -> np.ndarray:
        return np.memmap(folder / name, dtype=dtype, mode="r", shape=shape)

    try:
        return VectorTable(
            vectors=mapped("vectors.f32", "<f4", count, dim),
            words=WordList(
                mapped("words.utf8", "u1", sizes["words.utf8"]),
                mapped("offsets.u64", "<u8", count + 1),
            ),
            hashes=mapped("hashes.u64", "<u8", count),
            rows=mapped("rows.u32", "<u4", count),
            subwords=subwords,
            ngrams=mapped(NGRAMS, "<f4", subwords.buckets, dim) if subwords else None,
        )
    except (OSError, ValueError, KeyError):  # another process is just replacing it
        return None
