"""Processes as torchrun and srun start them."""

from __future__ import annotations

import os
from pathlib import Path

from helpers.own_process import OwnProcess


def slurm(
    rank: int, node: int, local_rank: int, world_size: int = 2, nodes: int = 1
) -> dict[str, str]:
    """What srun tells a process of a step."""
    return {
        "SLURM_NNODES": str(nodes),
        "SLURM_JOB_ID": str(os.getpid()),  # the port follows from it
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(world_size),
        "SLURM_PROCID": str(rank),
        "SLURM_NODEID": str(node),
        "SLURM_LOCALID": str(local_rank),
    }


def started(folder: Path, *arguments: str, **more: str) -> OwnProcess:
    """A process with one thread and a cache of its own under `folder`, where it works."""
    folder.mkdir(exist_ok=True)
    variables = {
        "DEVISE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return OwnProcess(*arguments, cwd=folder, **variables, **more)


def ended(process: OwnProcess, seconds: float = 400) -> tuple[int | None, str, str]:
    """Its exit code, output and messages."""
    output, messages = process.communicate(seconds)
    return process.returncode, output, messages
