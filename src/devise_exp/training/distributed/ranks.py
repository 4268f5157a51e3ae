"""Ranks of a training on several devices: their number, their identity, and what they are asked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class RankInfo:
    """Identity of one rank of a training, and where the ranks meet.

    Attributes:
        node: Number of the rank's node.
        local_rank: Number of the process on its node.
        processes_per_node: Processes on each node.
        nodes: Number of nodes.
        address: Host where the ranks of one training meet.
        port: Port where they meet.
        threads: torch's threads in rank 0; all ranks use as many, since the bits of a feature
            depend on them.
    """

    node: int = 0
    local_rank: int = 0
    processes_per_node: int = 1
    nodes: int = 1
    address: str = "127.0.0.1"
    port: int = 0
    threads: int = 1

    @property
    def rank(self) -> int:
        """Number of the process among all, as Lightning counts."""
        return self.node * self.processes_per_node + self.local_rank

    @property
    def world_size(self) -> int:
        """Number of processes on all nodes."""
        return self.nodes * self.processes_per_node

    @contextmanager
    def lightning_environment(self) -> Iterator[None]:
        """Set the variables by which Lightning finds the ranks; remove them afterwards.

        Yields:
            Nothing; the process group is destroyed at the end.
        """
        os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)  # rank 0 has the store, not torchrun
        variables = {
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
            "WORLD_SIZE": str(self.world_size),
            "NODE_RANK": str(self.node),
            "LOCAL_RANK": str(self.local_rank),
        }
        os.environ.update(variables)
        try:
            yield
        finally:
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
            for name in (*variables, "PL_GLOBAL_SEED"):
                os.environ.pop(name, None)


@dataclass(frozen=True, kw_only=True)
class StageRequest:
    """Request of rank 0 that the workers take part in one stage of a job.

    Attributes:
        stage: "features" (extract rows of a feature bank), "projection" or "network" (train).
        config: The job's config as YAML.
        run_folder: The run folder of a training.
        bank_key: Key of the feature bank to extract.
        first_row: First row of the bank that is still missing.
        checkpoint: Checkpoint of the network that extracts; None: the pretrained weights.
    """

    stage: str
    config: str
    run_folder: str = ""
    bank_key: str = ""
    first_row: int = 0
    checkpoint: str | None = None
