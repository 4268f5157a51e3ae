"""Batches of methods whose training is measured in steps."""

from __future__ import annotations

import torch
from torch import Tensor

from devise_exp.core.errors import InputError


def check_steps(name: str, steps: int) -> None:
    """Check a number of steps.

    Args:
        name: Of the method.
        steps: The number.

    Raises:
        InputError: If it is no whole number above 0.
    """
    if type(steps) is not int or steps < 1:
        raise InputError(f"method.{name}.steps={steps}: give a whole number from 1 on")


def steps_of(steps: int, n: int, size: int, generator: torch.Generator) -> list[Tensor]:
    """Draw the batches of a training, epoch by epoch.

    Args:
        steps: How many.
        n: Number of rows.
        size: Most rows of a batch.
        generator: Decides their order; every epoch has another.

    Returns:
        Row numbers of each batch.
    """
    drawn: list[Tensor] = []
    while len(drawn) < steps:
        drawn += torch.randperm(n, generator=generator).split(size)
    return drawn[:steps]
