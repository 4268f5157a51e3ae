"""Checkpoints as plain tensors: read without executing anything, and fitted strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from devise_exp.core.errors import InputError


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """A Lightning checkpoint as plain tensors and numbers (weights_only)."""
    try:
        content: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{checkpoint}: no such checkpoint") from error
    except OSError:
        raise
    except Exception as error:  # damaged bytes make torch raise nearly anything
        raise InputError(
            f"{checkpoint}: damaged, or not a checkpoint that torch loads safely"
        ) from error
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise InputError(f"{checkpoint}: holds no Lightning checkpoint")
    return dict(content)


def load_weights(module: nn.Module, checkpoint: Path) -> dict[str, Any]:
    """Load a checkpoint's weights into `module` and return all that it holds.

    Raises InputError where the file is no checkpoint or its tensors have other shapes than the
    module's.
    """
    content = read_checkpoint(checkpoint)
    load_state(module, content["state_dict"], checkpoint)
    return content


def load_part(network: nn.Module, checkpoint: Path, part: str) -> None:
    """Load what a checkpoint holds of `part`, an attribute of the module that was saved."""
    state = read_checkpoint(checkpoint)["state_dict"]
    start = f"{part}."
    own = {name.removeprefix(start): v for name, v in state.items() if name.startswith(start)}
    load_state(network, own, checkpoint)


def load_state(network: nn.Module, state: Mapping[str, Tensor], checkpoint: Path) -> None:
    """Load `state` into `network`; InputError unless names and shapes are the same."""
    own = network.state_dict()
    wrong = [
        f"{name} is {tuple(state[name].shape) if name in state else 'missing'}, not "
        f"{tuple(own[name].shape)}"
        for name in own
        if name not in state or state[name].shape != own[name].shape
    ]
    wrong += [f"{name} belongs to another model" for name in state if name not in own]
    if wrong:
        raise InputError(
            f"{checkpoint}: a checkpoint of another shape ({'; '.join(wrong[:2])}): give one of "
            "the same backbone, projection, word vectors and split"
        )
    network.load_state_dict(dict(state))
