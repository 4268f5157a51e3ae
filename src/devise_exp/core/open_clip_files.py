"""A folder of an open_clip model as the Hub has it: its settings, weights and tokenizer."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError

CONFIG = "open_clip_config.json"
_LARGEST = 2**20  # bytes of the settings; published ones have 1,000
# In the order in which open_clip looks for them.
_PREFERRED = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth", "model.safetensors",
    "pytorch_model.bin", "pytorch_model.pth", "model.pth",
)  # fmt: skip
_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")
_TOKENIZER = ("*token*", "vocab*", "merges.txt", "*.model", "added_tokens.json")
_IMAGE_DEFAULTS = {"interpolation": "bicubic", "resize_mode": "shortest"}


@dataclass(frozen=True, kw_only=True)
class OpenClipFolder:
    """What a folder holds.

    Attributes:
        settings: Those of the network.
        images: How images are prepared; None if it does not say.
        weights: File of the weights.
    """

    settings: Mapping[str, Any]
    images: Mapping[str, Any] | None
    weights: Path


def read_folder(option: str, folder: Path) -> OpenClipFolder:
    """Read the settings of a folder and find its weights.

    Args:
        option: "backbone" or "word_vectors", for messages.
        folder: The folder.

    Returns:
        What it holds.

    Raises:
        InputError: It is no folder of an open_clip model, or a file is missing or damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{option}.pretrained: {folder}: no such folder: check the path")
    path = folder / CONFIG
    if not path.is_file():
        of_transformers = (folder / "config.json").is_file()
        remedy = "give the whole folder as the Hub has it"
        if of_transformers:
            remedy = "it is one for transformers: fetch the repository that was made for open_clip"
        raise InputError(
            f"{option}.pretrained: {folder}: no folder of an open_clip model, as it has no "
            f"{CONFIG}: {remedy}"
        )
    settings, images = _read_settings(path)
    return OpenClipFolder(settings=settings, images=images, weights=_weights(option, folder))


def snapshot(option: str, repository: str) -> Path:
    """Fetch a model from the Hugging Face Hub, or take it from the Hub's cache.

    Args:
        option: "backbone" or "word_vectors", for messages.
        repository: OWNER/NAME.

    Returns:
        Its folder in the cache.

    Raises:
        InputError: It cannot be had.
    """
    from huggingface_hub import snapshot_download

    patterns = [CONFIG, "open_clip_*", *_TOKENIZER]
    try:
        return Path(snapshot_download(repository, allow_patterns=patterns))
    except Exception as error:  # the Hub's client has many
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{option}.pretrained=hf-hub:{repository}: it could not be had ({reason}): fetch the "
            f"folder elsewhere and give {option}.pretrained=local-dir:FOLDER"
        ) from error


def tokenizer_files(folder: Path) -> list[Path]:
    """List the files that decide the tokens of a text.

    Args:
        folder: Of the model.

    Returns:
        The files, sorted by name.
    """
    files = {file for pattern in _TOKENIZER for file in folder.glob(pattern) if file.is_file()}
    return sorted(files)


@contextmanager
def silenced() -> Iterator[None]:
    """Drop what open_clip writes to the root logger and warns of: errors of ours say it.

    Yields:
        Nothing; open_clip is silent inside the block.
    """

    def is_of_others(record: logging.LogRecord) -> bool:
        return "open_clip" not in record.pathname

    root = logging.getLogger()
    root.addFilter(is_of_others)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(is_of_others)


def _read_settings(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """model_cfg and preprocess_cfg."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
        settings = content["model_cfg"]
        if not all(isinstance(settings[key], dict) for key in ("vision_cfg", "text_cfg")):
            raise ValueError("no settings of two towers")
        images = content.get("preprocess_cfg") or None
        if images is not None:
            images = {**_IMAGE_DEFAULTS, **{k: v for k, v in images.items() if v is not None}}
            images = {key: images[key] for key in ("mean", "std", *_IMAGE_DEFAULTS)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: no settings of an open_clip model ({type(error).__name__}: {error}): fetch "
            "the folder again"
        ) from error
    return settings, images


def _weights(option: str, folder: Path) -> Path:
    """The file that open_clip would take."""
    files = sorted(file for file in folder.iterdir() if file.suffix in _WEIGHTS)
    preferred = [folder / name for name in _PREFERRED if folder / name in files]
    if preferred or len(files) == 1:
        return (preferred or files)[0]
    problem = "holds several files of weights" if files else "holds no file of weights"
    raise InputError(
        f"{option}.pretrained: {folder} {problem}: it should have one, such as {_PREFERRED[0]}"
    )
