"""Encoders of texts that keep their vectors: a text that was encoded once needs no torch again."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from devise_exp.core.files import atomic_path, cache_dir, file_lock, fingerprint
from devise_exp.core.vectors import normalize_rows

_AT_ONCE = 20_000  # texts whose vectors are held before they are averaged
_PROBE = "a"


@dataclass(frozen=True, eq=False, kw_only=True)
class TextEncoder(ABC):
    """Turns texts into vectors, through a cache file.

    Attributes:
        fingerprint: Of all that decides the vectors; the cache file is named after it.
    """

    fingerprint: str
    _known: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False)

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
        keys = [_key(group) for group in groups]
        by_key = dict(zip(keys, groups, strict=True))
        if not by_key.keys() <= self._known.keys():
            self._known.update(_read(self.cache))
        if new := {key: group for key, group in by_key.items() if key not in self._known}:
            rows = self._averages(list(new.values()))
            self._keep(dict(zip(new, rows, strict=True)))
        if not keys:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([self._known[key] for key in keys])

    @cached_property
    def dim(self) -> int:
        """D, by a text that is encoded once."""
        return int(self([_PROBE]).shape[1])

    @property
    def cache(self) -> Path:
        """The cache file: (n, 16) uint8 hashes of groups, and their (n, D) float32 vectors."""
        return cache_dir() / "sentences" / f"{self.fingerprint}.npz"

    @abstractmethod
    def _encode(self, texts: list[str]) -> np.ndarray:
        """Run the model: (n, D) float32 unit rows."""

    def _averages(self, groups: list[Sequence[str]]) -> np.ndarray:
        """(n, D) float32 unit rows; of a single text what the model gives."""
        rows = []
        for block in _blocks(groups):
            texts = list(dict.fromkeys(text for group in block for text in group))
            vectors = dict(zip(texts, self._encode(texts), strict=True))
            rows += [_mean([vectors[text] for text in group]) for group in block]
        return np.stack(rows)

    def _keep(self, new: dict[bytes, np.ndarray]) -> None:
        """Add to the cache file; vectors that another process has written meanwhile stay."""
        with file_lock(self.cache):
            table = new | _read(self.cache)
            keys = np.frombuffer(b"".join(table), np.uint8).reshape(len(table), -1)
            with atomic_path(self.cache) as new_file, new_file.open("wb") as file:
                np.savez(file, keys=keys, vectors=np.stack(list(table.values())))
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


def _read(cache: Path) -> dict[bytes, np.ndarray]:
    """Read hash of a group -> (D,) vector; nothing from a damaged file."""
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            rows = zip(arrays["keys"], arrays["vectors"], strict=True)
            return {key.tobytes(): vector for key, vector in rows}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}


def _key(group: Sequence[str]) -> bytes:
    """Hash a group of texts."""
    content = group[0] if len(group) == 1 else f"mean of {json.dumps(list(group))}"
    return bytes.fromhex(fingerprint(content.encode("utf-8", "surrogatepass")))
