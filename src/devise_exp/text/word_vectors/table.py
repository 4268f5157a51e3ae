"""The table of unit word vectors on disk: written once from a stream, memory-mapped ever after.

A table is a folder of raw little-endian arrays beside meta.json, for n words of dimension D:
vectors.f32 (n, D) unit rows; words.utf8 all words end to end; offsets.u64 (n + 1) where each begins
in it; hashes.u64 (n) the sorted hashes of the words; rows.u32 (n) the row of each of these hashes;
and for fastText models ngrams.f32 (buckets, D), the raw subword vectors. Opening reads meta.json
alone, looking a word up touches a few pages.
"""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np

from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, file_lock

LAYOUT = 1
NGRAMS = "ngrams.f32"
END_OF_SENTENCE = "</s>"


@dataclass(frozen=True)
class Chunk:
    """Some words of a file, in its order, with their vectors as read: (len(words), D) float32."""

    words: Sequence[bytes]
    vectors: np.ndarray
    first: int  # the number of the first word's line or entry in the file, from 1
    done: float  # the share of the file read so far


@dataclass(frozen=True)
class Subwords:
    """How fastText cuts a word into n-grams of minn to maxn letters, hashed to buckets.

    lower: words are lower-cased first.
    """

    minn: int
    maxn: int
    buckets: int
    lower: bool = False

    def rows(self, word: str) -> list[int]:
        """The rows of the n-grams of `word` in the subword table; the sentence end has none."""
        from gensim.models.fasttext import ft_ngram_hashes

        if word == END_OF_SENTENCE:
            return []
        sound = word.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
        sound = sound.lower() if self.lower else sound
        return list(ft_ngram_hashes(sound, self.minn, self.maxn, self.buckets))


@dataclass(frozen=True)
class VectorSource:
    """A file about to be read; its chunks are read as they are asked for."""

    path: Path
    dim: int
    place: str  # what messages number: "line" or "word"
    chunks: Generator[Chunk, None, None]
    subwords: Subwords | None = None  # its reader writes NGRAMS into the table's folder


class WordList(Sequence[str]):
    """The words of a table in row order, each decoded when it is asked for."""

    def __init__(self, blob: np.ndarray, offsets: np.ndarray) -> None:
        self._blob = blob
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
            return self._between(start, max(start, stop))
        row = range(len(self))[row]  # an IndexError beyond either end
        return self.encoded(row).decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 8192):
            yield from self._between(start, min(start + 8192, len(self)))

    def encoded(self, row: int) -> bytes:
        """The word of `row` as UTF-8."""
        return bytes(self._blob[int(self._offsets[row]) : int(self._offsets[row + 1])])

    def alike(self, word: str, first: int) -> list[int]:
        """The rows below `first` that a slip of the pen may have turned into `word`.

        Of nearly its length, with its first two or its last three bytes or with the same bytes in
        another order; upper and lower case are the same.
        """
        sought = word.lower().encode("utf-8", "replace")
        edges = np.array(self._offsets[: first + 1], np.int64)
        if len(sought) < 2 or len(edges) < 2:
            return []
        text = np.array(self._blob[: edges[-1]])
        text[(text >= ord("A")) & (text <= ord("Z"))] += ord("a") - ord("A")
        starts, ends = edges[:-1], edges[1:]
        lengths = ends - starts
        # In words shorter than these pieces a neighbour's letters are compared; that does no harm.
        seconds = np.minimum(starts + 1, len(text) - 1)
        alike = (text[starts] == sought[0]) & (text[seconds] == sought[1])
        tail = [text[(ends - k).clip(0)] == sought[-k] for k in range(1, min(3, len(sought)) + 1)]
        alike |= np.logical_and.reduce(tail)
        sums = np.add.reduceat(text, starts, dtype=np.int64)
        alike |= (lengths == len(sought)) & (sums == sum(sought))
        rows: list[int] = np.flatnonzero(alike & (abs(lengths - len(sought)) <= 2)).tolist()
        return rows

    def _between(self, start: int, stop: int) -> list[str]:
        edges = self._offsets[start : stop + 1].tolist()
        text = bytes(self._blob[edges[0] : edges[-1]])
        ends = [edge - edges[0] for edge in edges]
        return [text[start:end].decode("utf-8") for start, end in pairwise(ends)]


@dataclass(frozen=True, eq=False, repr=False)
class VectorTable:
    """An opened table; its arrays are memory-mapped and read-only."""

    vectors: np.ndarray  # (n, D) float32
    words: WordList
    hashes: np.ndarray  # (n,) uint64, sorted
    rows: np.ndarray  # (n,) uint32
    subwords: Subwords | None = None
    ngrams: np.ndarray | None = None  # (buckets, D) float32

    def row(self, word: str) -> int | None:
        """The row of exactly `word`, or None."""
        encoded = word.encode("utf-8", "surrogatepass")
        place = int(np.searchsorted(self.hashes, np.uint64(_hash(encoded))))
        if place == len(self.hashes):
            return None
        row = int(self.rows[place])
        return row if self.words.encoded(row) == encoded else None

    def composed(self, word: str) -> np.ndarray | None:
        """(D,) the unit vector that the subwords of `word` make, or None where they make none."""
        rows = [] if self.subwords is None else self.subwords.rows(word)
        if self.ngrams is None or not rows:
            return None
        total = self.ngrams[rows].sum(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(total))
        return (total / length).astype(np.float32) if length > 0 else None


def empty_table(dim: int) -> VectorTable:
    """A table of no words."""
    words = WordList(np.empty(0, np.uint8), np.zeros(1, np.uint64))
    no_words = np.empty(0, np.uint64)
    return VectorTable(np.empty((0, dim), np.float32), words, no_words, no_words)


def open_or_build(
    folder: Path, read: Callable[[Path], VectorSource], limit: int | None, lower: bool = False
) -> VectorTable:
    """The table in `folder`, built from `read(new folder)` if it is not there or not whole."""
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
    """The table in `folder`, or None where it is missing, cut short or of another layout."""
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


def write_table(folder: Path, source: VectorSource, limit: int | None, lower: bool = False) -> None:
    """Write the first `limit` words of `source`, lower-cased if `lower`, as a table into `folder`.

    Words without letters, zero vectors (padding rows) and repeated words (the first stays) are
    dropped; meta.json counts them. `folder` is there already.
    Raises InputError at a number that is not finite, and for a file without any word.
    """
    index = _Index(limit, lower)
    with (
        (folder / "vectors.f32").open("wb") as vectors_file,
        (folder / "words.utf8").open("wb") as words_file,
        progress() as bar,
        closing(source.chunks),
    ):
        task = bar.add_task(f"converting {source.path.name}", total=1.0)
        for chunk in source.chunks:
            _append(chunk, index, source, vectors_file, words_file)
            bar.update(task, completed=chunk.done)
            if index.full:
                break
    if not index.hashes:
        raise InputError(f"{source.path}: holds no word with a vector; is it the right file?")
    hashes = np.array(index.hashes, dtype="<u8")
    order = np.argsort(hashes)
    np.array(index.offsets, dtype="<u8").tofile(folder / "offsets.u64")
    hashes[order].tofile(folder / "hashes.u64")
    order.astype("<u4").tofile(folder / "rows.u32")
    meta: dict[str, Any] = {
        "layout": LAYOUT,
        "count": len(hashes),
        "dim": source.dim,
        "subwords": asdict(replace(source.subwords, lower=lower)) if source.subwords else None,
        "dropped": index.dropped,
        "sizes": {part.name: part.stat().st_size for part in sorted(folder.iterdir())},
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


class _Index:
    """The words kept so far, by hash: 2e-7 is the chance that two of three million share one."""

    def __init__(self, limit: int | None, lower: bool) -> None:
        self.lower = lower
        self.limit = math.inf if limit is None else limit
        self.hashes = array("Q")
        self.offsets = array("Q", [0])
        self.dropped = {"empty_words": 0, "zero_vectors": 0, "repeated_words": 0}
        self._seen: set[int] = set()

    @property
    def full(self) -> bool:
        return len(self.hashes) >= self.limit

    def encoded(self, raw: bytes) -> bytes:
        """A word of the file as the table has it."""
        word = raw.decode("utf-8", "replace")
        return (word.lower() if self.lower else word).encode("utf-8")

    def keeps(self, encoded: bytes, norm: float) -> bool:
        """Whether the word enters the table; entered or counted as dropped after the call."""
        key = _hash(encoded)
        reasons = {
            "empty_words": not encoded,
            "zero_vectors": norm == 0,
            "repeated_words": key in self._seen,
        }
        for reason, holds in reasons.items():
            if holds:
                self.dropped[reason] += 1
                return False
        self._seen.add(key)
        self.hashes.append(key)
        self.offsets.append(self.offsets[-1] + len(encoded))
        return True


def _append(
    chunk: Chunk, index: _Index, source: VectorSource, vectors_file: BinaryIO, words_file: BinaryIO
) -> None:
    """Write the words of `chunk` that `index` keeps, with their unit vectors."""
    wide = chunk.vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1)
    kept: list[int] = []
    for i, (raw, norm) in enumerate(zip(chunk.words, norms.tolist(), strict=True)):
        if index.full:
            break
        encoded = index.encoded(raw)
        if not math.isfinite(norm):
            raise InputError(
                f"{source.path}, {source.place} {chunk.first + i}: the vector of "
                f"{encoded.decode()!r} has a number that is not finite; mend or remove it"
            )
        if index.keeps(encoded, norm):
            kept.append(i)
            words_file.write(encoded)
    (wide[kept] / norms[kept, None]).astype("<f4").tofile(vectors_file)


def _hash(encoded: bytes) -> int:
    # As a number, and not by core.files.fingerprint: this runs millions of times.
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")
