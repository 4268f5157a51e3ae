"""Ranks of a training on several devices: how many there are, and which GPU each has."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from devise_exp.core.errors import InputError


def processes_per_node(
    strategy: str, devices: int | str | Sequence[int], accelerator: str = "auto", nodes: int = 1
) -> int:
    """Count the processes that each node runs for the trainer's options.

    Args:
        strategy: `trainer.strategy`.
        devices: `trainer.devices`, in any form that Lightning takes.
        accelerator: `trainer.accelerator`.
        nodes: `trainer.num_nodes`.

    Returns:
        The number of processes on one node.

    Raises:
        InputError: The strategy starts its processes in another way than this package.

    Example:
        >>> processes_per_node("ddp", "0,2")
        2
    """
    if not (strategy == "auto" or strategy == "ddp" or strategy.startswith("ddp_find_unused")):
        if devices in (1, "1") and nodes == 1:
            return 1
        raise InputError(f"trainer.strategy={strategy}: for several devices choose ddp")
    if isinstance(devices, str) and "," in devices:  # "0,1": these two
        return len(_gpu_numbers(devices))
    if devices in (-1, "-1", "auto"):
        return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())
    return int(devices) if isinstance(devices, int | str) else len(devices)


def gpu_of(devices: int | str | Sequence[int], local_rank: int) -> int:
    """Choose the GPU of a process on its node.

    Args:
        devices: `trainer.devices`, in any form that Lightning takes.
        local_rank: The process's number on its node.

    Returns:
        The GPU's number on that node.
    """
    if isinstance(devices, str) and "," in devices:
        return _gpu_numbers(devices)[local_rank]
    return local_rank if isinstance(devices, int | str) else int(devices[local_rank])


def _gpu_numbers(devices: str) -> list[int]:
    """GPU numbers of a list in text, such as "0,1"."""
    return [int(number) for number in devices.split(",") if number.strip()]
