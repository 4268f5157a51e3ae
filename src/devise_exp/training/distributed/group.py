"""The process group of a training: rank 0 leads it through its stages, the other ranks follow.

Rank 0 alone composes configs, selects hyperparameters and writes reports; for what all ranks do
together it broadcasts a StageRequest. torch notices a rank that has died, the launcher ends all.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn, TypeVar, cast

import torch
import torch.distributed as dist

from devise_exp.core.errors import InputError, user_message
from devise_exp.core.stops import end_by_stops

Result = TypeVar("Result")
_GRACE = 5.0  # seconds for the launcher to see which rank has ended first, and to end the others
_LOST = ("closed by peer", "reset by peer", "Broken pipe", "Socket Timeout", "recvValue failed")


@dataclass(frozen=True, kw_only=True)
class StageRequest:
    """Request of rank 0 that all ranks take part in one stage of a job.

    Attributes:
        stage: "features" (extract rows of a feature bank), "projection" or "network" (train).
        config: The job's config as YAML.
        run_folder: The run folder of a training.
        bank_key: Key of the feature bank to extract.
        first_row: First row of the bank that is still missing.
        checkpoint: Checkpoint of the network that extracts; None: the pretrained weights.
        threads: torch's threads in rank 0; all ranks use as many, since the bits of a feature
            depend on them.
    """

    stage: str
    config: str
    run_folder: str = ""
    bank_key: str = ""
    first_row: int = 0
    checkpoint: str | None = None
    threads: int = field(default_factory=torch.get_num_threads)


class RankError(InputError):
    """A stage has failed in some rank, so the ranks can do nothing together any more."""


def in_group() -> bool:
    """Tell whether this process is one of several ranks.

    Returns:
        True between the begin and the end of `process_group`.
    """
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@contextmanager
def process_group(timeout: timedelta | None = None) -> Iterator[int]:
    """Join the ranks that torch's environment variables describe.

    Args:
        timeout: For all ranks to come, and for each step of a training; None: torch's own.

    Yields:
        Number of this rank. A block that raises leaves the group to the end of the process.

    Raises:
        InputError: Not all ranks come in time, or they cannot be reached.
    """
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if _has_nccl() else "gloo", timeout=timeout)
        _patient_group()
    except (RuntimeError, ValueError) as error:
        address = ":".join(os.environ.get(name, "") for name in ("MASTER_ADDR", "MASTER_PORT"))
        reason = str(error).split("\n")[0].rstrip(".")
        raise InputError(
            f"{address}, where {os.environ.get('WORLD_SIZE')} processes meet: {reason}: see what "
            "keeps the others, open ports between the nodes, or set MASTER_ADDR to the node of the "
            "first process and MASTER_PORT to a free port there"
        ) from error
    yield dist.get_rank()
    dist.destroy_process_group()
    _patient_group.cache_clear()


def lead_or_follow(
    run_stage: Callable[[StageRequest], None], function: Callable[[], Result]
) -> Result | None:
    """Be a rank: rank 0 calls a function, the others take part in the stages that it leads.

    A rank that loses rank 0 between two stages ends, with exit code 1 and no message: rank 0 has
    reported the reason.

    Args:
        run_stage: Does one stage in another rank.
        function: What rank 0 does.

    Returns:
        What the function returns; None in the other ranks.

    Raises:
        InputError: The ranks do not meet.
        RankError: As `leading` says.
    """
    with process_group() as rank:
        if rank == 0:
            result = function()
            _broadcast(None)
            return result
        end_by_stops()
        while (request := _next_request()) is not None:
            torch.set_num_threads(request.threads)
            try:
                run_stage(request)
                dist.barrier(_patient_group())
            except Exception as error:
                _raise_for_all(error)
    return None


@contextmanager
def leading(request: StageRequest) -> Iterator[None]:
    """As rank 0, do one stage in the block while all other ranks do it too.

    Args:
        request: The stage.

    Yields:
        Nothing; at the end of the block all ranks have done the stage.

    Raises:
        RankError: The stage has failed here for a reason that a person can mend, or another rank
            is lost.
    """
    try:
        _broadcast(request)
        yield
        dist.barrier(_patient_group())
    except Exception as error:
        # Others may be in the middle of a step: nothing can be said to them but that this is over.
        dist.destroy_process_group()
        _raise_for_all(error)


def _broadcast(request: StageRequest | None) -> StageRequest | None:
    """Send rank 0's request to all ranks; returns it on each."""
    message = [request]
    dist.broadcast_object_list(message, src=0, group=_patient_group())
    return message[0]


def _next_request() -> StageRequest | None:
    """Wait for what rank 0 asks for; None: it has finished."""
    try:
        return _broadcast(None)
    except RuntimeError:
        time.sleep(_GRACE)
        raise SystemExit(1) from None


def _raise_for_all(error: Exception) -> NoReturn:
    """Raise what a stage has failed by; a connection that is lost only echoes another rank."""
    if isinstance(error, dist.DistError) or any(text in str(error) for text in _LOST):
        time.sleep(_GRACE)  # most likely this process is ended here
        raise RankError(
            "another process of this training has ended: see its message, or whether it was killed "
            "or ran out of memory"
        ) from error
    line = user_message(error)
    if line is None:
        raise error
    raise RankError(line) from error


@functools.cache
def _patient_group() -> dist.ProcessGroup:
    """All ranks, who wait for rank 0 as long as it works alone: class folds may take hours."""
    return cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=timedelta(days=365)))


def _has_nccl() -> bool:
    return torch.cuda.is_available() and dist.is_nccl_available()
