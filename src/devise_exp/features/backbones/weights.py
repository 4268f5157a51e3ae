"""Weights of backbones: files of tensors, classification layers, and the names of their classes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from devise_exp.core.errors import InputError
from devise_exp.features.backbones.base import Head


def imagenet1k_names() -> tuple[str, ...]:
    """List the 1,000 classes of ImageNet-1k.

    Returns:
        torchvision's name of each class, in the order of their WordNet ids.

    Example:
        >>> imagenet1k_names()[0]
        'tench'
    """
    path = resources.files("devise_exp.features.backbones") / "assets" / "imagenet1k_names.txt"
    return tuple(path.read_text(encoding="utf-8").splitlines())


def classifier_head(layer: Any, feature_dim: int) -> Head | None:
    """Copy a linear layer that takes the features as they are.

    Args:
        layer: The layer that was cut off a network.
        feature_dim: Length of a feature vector.

    Returns:
        Its weight and bias; None if it is another layer.
    """
    if not isinstance(layer, nn.Linear) or layer.in_features != feature_dim or layer.bias is None:
        return None
    return Head(layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())


def read_state_dict(path: str, choices: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Read a file of weights without executing anything in it.

    Args:
        path: The file.
        choices: Names that `backbone.weights` may have instead of a file.

    Returns:
        The tensors by name.

    Raises:
        InputError: There is no such file, or it is no state dict.
    """
    file = existing_file(path, "backbone.weights", choices)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch meets damaged bytes with nearly any exception
        raise InputError(
            f"{file}: not a file of weights that torch can load safely: fetch it again"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            f"{file}: holds no state dict (a mapping of names to tensors): give another file"
        )
    return state


def existing_file(path: str, key: str, choices: tuple[str, ...] = ()) -> Path:
    """Check that an option names a file.

    Args:
        path: The option's value.
        key: The option, for the message.
        choices: Names that the option may have instead of a file.

    Returns:
        The path, with ~ expanded.

    Raises:
        InputError: There is no such file.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        problem = f"neither one of {', '.join(choices)} nor a file" if choices else "no such file"
        raise InputError(f"{key}={path}: {problem}")
    return file
