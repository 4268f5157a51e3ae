"""Writing a table of unit word vectors from a stream, in bounded memory (see `table`)."""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from devise_exp.core.console import progress
from devise_exp.core.errors import InputError
from devise_exp.text.word_vectors.sources import Chunk, VectorSource

LAYOUT = 1


def write_table(folder: Path, source: VectorSource, limit: int | None, lower: bool = False) -> None:
    """Write the words of a source as a table.

    Words without letters, zero vectors (padding rows) and repeated words (the first stays) are
    dropped; meta.json counts them.

    Args:
        folder: An empty folder.
        source: The words.
        limit: How many words to keep at most; None for all.
        lower: Whether words are lower-cased.

    Raises:
        InputError: A number is not finite, the file is broken, or no word has a vector.
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
        raise InputError(
            f"{source.path}: holds no word with a vector other than zero: give another file"
        )
    _write_index(folder, source, index)


def word_hash(encoded: bytes) -> int:
    """Hash a word for the table's index.

    Args:
        encoded: The word as UTF-8.

    Returns:
        An unsigned 64-bit number.
    """
    # As a number, and not by core.files.fingerprint: this runs millions of times.
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


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
        """Whether the limit is reached."""
        return len(self.hashes) >= self.limit

    def encoded(self, raw: bytes) -> bytes:
        """Return a word of the file as it is spelt in the table."""
        word = raw.decode("utf-8", "replace")
        return (word.lower() if self.lower else word).encode("utf-8")

    def add(self, encoded: bytes, norm: float) -> bool:
        """Enter a word, or count it as dropped; say whether it was entered."""
        key = word_hash(encoded)
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
    """Write the words of a chunk that enter the index, with their unit vectors."""
    wide = chunk.vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1)
    kept: list[int] = []
    for i, (raw, norm) in enumerate(zip(chunk.words, norms.tolist(), strict=True)):
        if index.full:
            break
        encoded = index.encoded(raw)
        if not math.isfinite(norm):
            raise InputError(
                f"{source.path}, {source.entry} {chunk.first + i}: the vector of "
                f"{encoded.decode()!r} has a number that is not finite; correct or remove it"
            )
        if index.add(encoded, norm):
            kept.append(i)
            words_file.write(encoded)
    (wide[kept] / norms[kept, None]).astype("<f4").tofile(vectors_file)


def _write_index(folder: Path, source: VectorSource, index: _Index) -> None:
    """Write the arrays that find a word, and meta.json last, which makes the table whole."""
    hashes = np.array(index.hashes, dtype="<u8")
    order = np.argsort(hashes)
    np.array(index.offsets, dtype="<u8").tofile(folder / "offsets.u64")
    hashes[order].tofile(folder / "hashes.u64")
    order.astype("<u4").tofile(folder / "rows.u32")
    subwords = source.subwords
    meta: dict[str, Any] = {
        "layout": LAYOUT,
        "count": len(hashes),
        "dim": source.dim,
        "subwords": asdict(replace(subwords, lower=index.lower)) if subwords else None,
        "dropped": index.dropped,
        "sizes": {part.name: part.stat().st_size for part in sorted(folder.iterdir())},
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
