"""A folder in the shape of a model hub, read back; nothing in it is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import listed
from devise_exp.features.backbones.base import Preprocess
from devise_exp.methods.word_classifiers import ClassifierShare
from devise_exp.pipelines.export.architecture import build_network, build_projection
from devise_exp.pipelines.export.hub_folder import CLASSIFIERS, CONFIG, WEIGHTS
from devise_exp.pipelines.export.hub_model import HubModel
from devise_exp.pipelines.export.model import PriorModule, ShareModule, WholeModel
from devise_exp.runs.arrays import to_classifiers
from devise_exp.training.checkpoint import load_state

_LARGEST_CONFIG = 2**26  # bytes; of a million labels
_VECTORS = ("class_vectors", "centre")
_PARTS = ("network", "projection", "prior", CLASSIFIERS)


def open_hub_folder(folder: Path) -> HubModel:
    """Read a folder that `export --format hub` has written; nothing in it is executed.

    Args:
        folder: The folder.

    Returns:
        The model.

    Raises:
        InputError: It is no such folder, is damaged, or holds a network that is not rebuilt here.
    """
    tensors, content = _tensors(folder / WEIGHTS), _config(folder)
    for key in ("network", "projection"):
        if content[key].get("kind") is None:
            raise InputError(
                f"{folder / CONFIG}: its {key} is none that this package rebuilds (a part of one's "
                "own, or of an earlier version): export the run again, or as --format onnx"
            )
    try:
        parts = _parts(tensors)
        share = _classifiers(parts[CLASSIFIERS])
        model = _model(folder, parts, content, share)
        how = dict(content["preprocess"])
        how |= {key: tuple(how[key]) for key in ("mean", "std")}
        how["resize"] = how["resize"] if isinstance(how["resize"], int) else tuple(how["resize"])
        result = HubModel(
            labels=tuple(map(str, content["labels"])),
            seen=np.array(content["seen"], dtype=bool),
            class_vectors=tensors["class_vectors"].numpy(),
            gamma=None if content["gamma"] is None else float(content["gamma"]),
            about=dict(content["about"]),
            preprocess=Preprocess(**how),
            model=model,
            classifiers=share,
        )
        _check(result)
    except InputError:
        raise
    except Exception as error:  # a forged description makes torch and timm raise nearly anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
        raise InputError(
            f"{folder}: its {CONFIG} does not describe its {WEIGHTS} ({reason}): export it again"
        ) from error
    return result


def _parts(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each part by name, none of a part that is not there."""
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in _PARTS}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        if name not in _VECTORS:
            parts[part][rest] = tensor
    return parts


def _classifiers(tensors: Mapping[str, Tensor]) -> ClassifierShare | None:
    """Predicted classifiers of the stored tensors."""
    if not tensors:
        return None
    return to_classifiers({name: tensor.numpy() for name, tensor in tensors.items()})


def _model(
    folder: Path,
    parts: Mapping[str, Mapping[str, Tensor]],
    content: Mapping[str, Any],
    share: ClassifierShare | None,
) -> WholeModel:
    """The module, of the stored tensors."""
    projection = build_projection(content["projection"], parts["projection"])
    network = build_network(content["network"])
    load_state(network, parts["network"], folder / WEIGHTS)
    load_state(projection, parts["projection"], folder / WEIGHTS)
    prior = None
    if content["prior"] is not None:
        options: dict[str, Any] = {**parts["prior"], **content["prior"]}
        prior = PriorModule(**options)
    return WholeModel(network, projection, prior, None if share is None else ShareModule.of(share))


def _check(model: HubModel) -> None:
    """ValueError unless labels, vectors and the model belong together."""
    n, dim = len(model.labels), model.class_vectors.shape[1]
    if not n or model.class_vectors.shape != (n, dim) or model.seen.shape != (n,):
        raise ValueError(f"{n} labels for {model.class_vectors.shape} class vectors")
    lengths = np.linalg.norm(model.class_vectors, axis=1)
    if not np.isfinite(model.class_vectors).all() or not np.allclose(lengths, 1, atol=1e-3):
        raise ValueError("class vectors that are no unit rows")
    if not 1 <= model.preprocess.crop <= 2048:
        raise ValueError(f"a crop of {model.preprocess.crop} pixels")
    share = model.classifiers
    if share is not None and model.words(share.classifiers.vectors[:1]).shape != (1, dim):
        raise ValueError(f"predicted classifiers for class vectors of {dim} numbers")
    rows = model.embed([Image.new("RGB", (32, 32))])
    if rows.shape != (1, dim) or not np.isfinite(rows).all():
        raise ValueError(f"embeddings {rows.shape} for class vectors of {dim} numbers")


def _config(folder: Path) -> dict[str, Any]:
    """The content of config.json."""
    path = folder / CONFIG
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise ValueError("too large")
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _no_folder(folder, path, str(error)) from error
    needed = ("labels", "seen", "gamma", "preprocess", "projection", "prior", "about")
    if not isinstance(content, dict) or not all(key in content for key in needed):
        raise _no_folder(folder, path, f"it lacks some of {listed(needed)}")
    content.setdefault("network", {})
    if content["network"] is None:
        content["network"] = {}
    if not isinstance(content["network"], dict) or not isinstance(content["projection"], dict):
        raise _no_folder(folder, path, "it describes no network and projection")
    return content


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of the folder."""
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise InputError(
            "a hub folder is read by safetensors: pip install 'devise-exp[export]'"
        ) from error
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except Exception as error:  # safetensors has its own
        raise _no_folder(path.parent, path, str(error)) from error
    if "class_vectors" not in tensors:
        raise _no_folder(path.parent, path, "it has no class_vectors")
    return tensors


def _no_folder(folder: Path, path: Path, reason: str) -> InputError:
    """The line for a folder that cannot be read."""
    if not path.exists():
        return InputError(
            f"{folder}: no folder of an export, as it has no {path.name}: give one that devise-exp "
            "export RUN --format hub has written"
        )
    short = " ".join(reason.split())[:150]
    return InputError(f"{path}: damaged ({short}): export the run again")
