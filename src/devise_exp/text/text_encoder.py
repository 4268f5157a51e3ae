"""Encoders of texts that keep their vectors: a text that was encoded once needs no torch again."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from devise_exp.core.files import atomic_path, cache_dir, file_lock, fingerprint
from devise_exp.core.vectors import normalize_rows

_AT_ONCE = 20_000  # texts whose vectors are held before they are averaged
_PROBE = "a"


@dataclass(frozen=True, eq=False, kw_only=True)
class CutTexts:
    """Which texts are longer than a model reads, so that their end counts for nothing.

    Attributes:
        is_cut: (n,) bool.
        limit: How many tokens the model reads; 0 if that is not known.
    """

    is_cut: np.ndarray
    limit: int


class _Known(NamedTuple):
    """What is kept of a group of texts: their (D,) vector, how many are cut, and where."""

    vector: np.ndarray
    n_cut: int
    limit: int


@dataclass(frozen=True, eq=False, kw_only=True)
class TextEncoder(ABC):
    """Turns texts into vectors, through a cache file.

    Attributes:
        fingerprint: Of all that decides the vectors; the cache file is named after it.
    """

    fingerprint: str
    _known: dict[bytes, _Known] = field(default_factory=dict, repr=False)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return (n, D) float32 unit rows of n texts; new ones are encoded in one go and kept."""
        return self.average([(text,) for text in texts])

    def average(self, groups: Sequence[Sequence[str]]) -> np.ndarray:
        """Average the unit vectors of the texts of each group; only means are kept.

        Args:
            groups: n groups of one or more texts.

        Returns:
            (n, D) float32 unit rows.
        """
        if not groups:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([known.vector for known in self._of(groups)])

    def cut(self, groups: Sequence[Sequence[str]]) -> CutTexts:
        """Tell which groups have texts that are longer than the model reads.

        Args:
            groups: n groups of one or more texts.

        Returns:
            The groups; of texts that an earlier version has encoded nothing is known.
        """
        known = self._of(groups)
        limits = [entry.limit for entry in known if entry.n_cut]
        is_cut = np.array([entry.n_cut > 0 for entry in known], dtype=bool)
        return CutTexts(is_cut=is_cut, limit=max(limits, default=0))

    @cached_property
    def dim(self) -> int:
        """D, by a text that is encoded once."""
        return int(self([_PROBE]).shape[1])

    @property
    def cache(self) -> Path:
        """The cache file, by group: hash, vector, how many of its texts are cut, and where."""
        return cache_dir() / "sentences" / f"{self.fingerprint}.npz"

    @abstractmethod
    def _encode(self, texts: list[str]) -> np.ndarray:
        """Run the model: (n, D) float32 unit rows."""

    def _cut(self, texts: list[str]) -> CutTexts:
        """Tell which texts are longer than the model reads; a model may read all of them."""
        return CutTexts(is_cut=np.zeros(len(texts), dtype=bool), limit=0)

    def _of(self, groups: Sequence[Sequence[str]]) -> list[_Known]:
        """What is known of n groups; new ones are encoded in one go and kept."""
        keys = [_key(group) for group in groups]
        by_key = dict(zip(keys, groups, strict=True))
        if not by_key.keys() <= self._known.keys():
            self._known.update(_read(self.cache))
        if new := {key: group for key, group in by_key.items() if key not in self._known}:
            self._keep(dict(zip(new, self._averages(list(new.values())), strict=True)))
        return [self._known[key] for key in keys]

    def _averages(self, groups: list[Sequence[str]]) -> list[_Known]:
        """(D,) float32 unit vectors; of a single text what the model gives."""
        known = []
        for block in _blocks(groups):
            texts = list(dict.fromkeys(text for group in block for text in group))
            vectors = dict(zip(texts, self._encode(texts), strict=True))
            cut = self._cut(texts)
            is_cut = dict(zip(texts, cut.is_cut.tolist(), strict=True))
            for group in block:
                n_cut = sum(is_cut[text] for text in group)
                known.append(_Known(_mean([vectors[text] for text in group]), n_cut, cut.limit))
        return known

    def _keep(self, new: dict[bytes, _Known]) -> None:
        """Add to the cache file; vectors that another process has written meanwhile stay."""
        with file_lock(self.cache):
            table = new | _read(self.cache)
            keys = np.frombuffer(b"".join(table), np.uint8).reshape(len(table), -1)
            cut = np.array([entry[1:] for entry in table.values()], dtype=np.int32)
            with atomic_path(self.cache) as new_file, new_file.open("wb") as file:
                vectors = np.stack([entry.vector for entry in table.values()])
                np.savez(file, keys=keys, vectors=vectors, cut=cut)
        self._known.update(table)


def _blocks(groups: list[Sequence[str]]) -> Iterable[list[Sequence[str]]]:
    """Split groups so that the vectors of a block fit into memory."""
    block: list[Sequence[str]] = []
    n = 0
    for group in groups:
        if block and n + len(group) > _AT_ONCE:
            yield block
            block, n = [], 0
        block.append(group)
        n += len(group)
    yield block


def _mean(rows: list[np.ndarray]) -> np.ndarray:
    """(D,) float32 unit vector."""
    if len(rows) == 1:
        return rows[0]
    mean = np.asarray(np.mean(rows, axis=0, dtype=np.float64))
    return np.asarray(normalize_rows(mean[None], np.float64)[0], dtype=np.float32)


def _read(cache: Path) -> dict[bytes, _Known]:
    """Read hash of a group -> what is known of it; nothing from a damaged file."""
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            keys, vectors = arrays["keys"], arrays["vectors"]
            # A file of an earlier version does not say what was cut.
            cut = arrays["cut"] if "cut" in arrays else np.zeros((len(keys), 2), np.int32)
            rows = zip(keys, vectors, cut.tolist(), strict=True)
            return {key.tobytes(): _Known(vector, *of_cut) for key, vector, of_cut in rows}
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile):
        return {}


def _key(group: Sequence[str]) -> bytes:
    """Hash a group of texts."""
    content = group[0] if len(group) == 1 else f"mean of {json.dumps(list(group))}"
    return bytes.fromhex(fingerprint(content))
