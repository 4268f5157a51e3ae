"""Checkpoints as plain tensors: read without executing anything, and loaded strictly."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from devise_exp.core.errors import InputError

BEST, LAST = "best.ckpt", "last.ckpt"


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """Read a Lightning checkpoint as plain tensors and numbers (weights_only).

    Args:
        checkpoint: The file.

    Returns:
        Its content; "state_dict" has the tensors by name.

    Raises:
        InputError: There is no such file, or it is no checkpoint.
    """
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: no such checkpoint: give one that a training has written")
    try:
        with warnings.catch_warnings():  # torch remarks on the protocol of junk
            warnings.simplefilter("ignore")
            content: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # damaged bytes make torch raise nearly anything
        raise InputError(
            f"{checkpoint}: damaged, or not a checkpoint that torch loads safely: train the run "
            "again, or give another that a training has written"
        ) from error
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise InputError(
            f"{checkpoint}: no checkpoint of Lightning: give one that a training has written"
        )
    return dict(content)


def load_weights(module: nn.Module, checkpoint: Path) -> dict[str, Any]:
    """Load a checkpoint's weights into the module that was saved.

    Args:
        module: A module of the same shape, changed in place.
        checkpoint: The file.

    Returns:
        All that the checkpoint holds.

    Raises:
        InputError: The file is no checkpoint, or its tensors have other names or shapes.
    """
    content = read_checkpoint(checkpoint)
    load_state(module, content["state_dict"], checkpoint)
    return content


def load_part(network: nn.Module, checkpoint: Path, part: str) -> None:
    """Load the weights of one part of the module that was saved.

    Args:
        network: A network of the part's shape, changed in place.
        checkpoint: The file.
        part: The attribute of the saved module, such as "projection".

    Raises:
        InputError: The file is no checkpoint, or its tensors have other names or shapes.
    """
    prefix = f"{part}."
    tensors = read_checkpoint(checkpoint)["state_dict"]
    state = {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}
    load_state(network, state, checkpoint)


def load_state(network: nn.Module, state: Mapping[str, Tensor], checkpoint: Path) -> None:
    """Load tensors into a network that has the same names and shapes.

    Args:
        network: Changed in place.
        state: Tensors by name.
        checkpoint: The file they come from, for the message.

    Raises:
        InputError: A tensor is missing, has another shape, or belongs to another network.
    """
    expected = network.state_dict()
    wrong = [
        f"{name} is {tuple(state[name].shape) if name in state else 'missing'}, not "
        f"{tuple(expected[name].shape)}"
        for name in expected
        if name not in state or state[name].shape != expected[name].shape
    ]
    wrong += [f"{name} belongs to another model" for name in state if name not in expected]
    if wrong:
        raise InputError(
            f"{checkpoint}: a checkpoint of another shape ({'; '.join(wrong[:2])}): give one of "
            "the same backbone, projection, word vectors and split"
        )
    if not_finite := [
        n for n, v in state.items() if v.is_floating_point() and not v.isfinite().all()
    ]:
        raise InputError(
            f"{checkpoint}: {not_finite[0]} holds NaN or infinity: train the run again"
        )
    # A network of sizes without memory, built to compare shapes, takes the tensors themselves.
    claims = any(value.is_meta for value in expected.values())
    network.load_state_dict(dict(state), assign=claims)
