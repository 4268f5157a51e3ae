"""Processes that torchrun or srun has started: which is which, and how they connect."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from devise_exp.core.errors import InputError
from devise_exp.training.distributed.pool import WorkerPool
from devise_exp.training.distributed.workers import RemoteWorker

_TIMEOUT = 300.0  # seconds for all processes to come; nodes do not start at once
_GREETING_SECONDS = 10  # for a process that has connected to say which it is


@dataclass(frozen=True, kw_only=True)
class LaunchedProcess:
    """One of the processes that a launcher has started.

    Attributes:
        launcher: "torchrun" or "srun".
        rank: Number of the process among all.
        world_size: Number of processes.
        node: Number of its node.
        local_rank: Number of the process on its node.
        address: Host where the processes meet.
        port: Port where they meet.
        agent_store: Whether torchrun's agent listens at that port itself.
        attempt: torchrun's count of restarts.
    """

    launcher: str
    rank: int
    world_size: int
    node: int
    local_rank: int
    address: str
    port: int
    agent_store: bool = False
    attempt: int = 0


def from_environment(environment: Mapping[str, str]) -> LaunchedProcess | None:
    """Read what torchrun or srun says of this process.

    Args:
        environment: The environment variables.

    Returns:
        This process; None if neither launcher has started several processes.

    Raises:
        InputError: A variable is missing or no number.
    """
    env = environment
    try:
        if {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"} <= env.keys():
            process = _from_torchrun(env)
        elif {"SLURM_PROCID", "SLURM_STEP_NODELIST"} <= env.keys():  # a batch script has but one
            process = _from_srun(env)
        else:
            return None
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the variables of torchrun or srun are not complete ({error}): start the program "
            "by one of them, or unset RANK and SLURM_PROCID"
        ) from error
    return process if process.world_size > 1 else None


def _from_torchrun(env: Mapping[str, str]) -> LaunchedProcess:
    """This process by torchrun's variables."""
    return LaunchedProcess(
        launcher="torchrun",
        rank=int(env["RANK"]),
        world_size=int(env["WORLD_SIZE"]),
        node=int(env.get("GROUP_RANK", "0")),
        local_rank=int(env["LOCAL_RANK"]),
        address=env["MASTER_ADDR"],
        port=int(env["MASTER_PORT"]),
        agent_store=env.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        attempt=int(env.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )


def _from_srun(env: Mapping[str, str]) -> LaunchedProcess:
    """This process by Slurm's variables."""
    return LaunchedProcess(
        launcher="srun",
        rank=int(env["SLURM_PROCID"]),
        world_size=int(env["SLURM_NTASKS"]),
        node=int(env["SLURM_NODEID"]),
        local_rank=int(env["SLURM_LOCALID"]),
        address=env.get("MASTER_ADDR") or _first_node(env["SLURM_STEP_NODELIST"]),
        port=int(env.get("MASTER_PORT") or _port(env["SLURM_JOB_ID"], env["SLURM_STEP_ID"])),
    )


def connect_to_rank_0(process: LaunchedProcess) -> Connection:
    """Connect this process to rank 0.

    Args:
        process: This process, of a rank above 0.

    Returns:
        The connection to rank 0.

    Raises:
        InputError: Rank 0 does not come in time, or cannot be reached.
    """
    store = _store(process)
    try:
        meeting = json.loads(store.get(_key(process)))
    except RuntimeError as error:
        raise InputError(
            f"the first of {process.world_size} processes did not come within {_TIMEOUT:.0f} s: "
            "see what keeps it"
        ) from error
    try:
        with socket.create_connection((process.address, meeting["port"]), _TIMEOUT) as opened:
            opened.settimeout(None)
            connection = Connection(opened.detach())
        hello = {
            "token": meeting["token"],
            "node": process.node,
            "local_rank": process.local_rank,
        }
        connection.send_bytes(json.dumps(hello).encode())
    except OSError as error:
        raise InputError(
            f"{process.address}:{meeting['port']}, the first process, cannot be reached: {error}: "
            "open ports between the nodes, or set MASTER_ADDR to an address that all can reach"
        ) from error
    return connection


def accept_workers(process: LaunchedProcess) -> WorkerPool:
    """Wait for all other processes.

    Args:
        process: This process, rank 0.

    Returns:
        The pool of all other processes.

    Raises:
        InputError: Not all processes come in time, or nodes have unequal numbers of processes.
    """
    token = secrets.token_hex(16)
    workers: list[RemoteWorker] = []
    store, until = _store(process), time.monotonic() + _TIMEOUT
    with socket.create_server(("", 0), backlog=process.world_size) as server:
        port = server.getsockname()[1]
        store.set(_key(process), json.dumps({"port": port, "token": token}))
        while len(workers) < process.world_size - 1:
            server.settimeout(max(0.1, until - time.monotonic()))
            try:
                accepted, _ = server.accept()
            except TimeoutError:
                raise InputError(
                    f"{len(workers) + 1} of {process.world_size} processes came within "
                    f"{_TIMEOUT:.0f} s: see what keeps the others"
                ) from None
            if (worker := _greeted_by(accepted, token)) is not None:
                workers.append(worker)
    identities = sorted({(0, 0), *((worker.node, worker.local_rank) for worker in workers)})
    nodes, processes_per_node = (1 + max(numbers) for numbers in zip(*identities, strict=True))
    if not len(identities) == process.world_size == nodes * processes_per_node:
        raise InputError(
            f"{process.launcher} has started {process.world_size} processes, not as many on each "
            f"of {nodes} nodes: ask for the same number everywhere"
        )
    return WorkerPool(processes_per_node, nodes, workers=workers, address=process.address)


def _greeted_by(accepted: socket.socket, token: str) -> RemoteWorker | None:
    """The worker that has connected; None of a stranger, who may send anything or nothing."""
    with accepted:
        _set_read_timeout(accepted, _GREETING_SECONDS)
        connection = Connection(os.dup(accepted.fileno()))
        with suppress(OSError, EOFError, ValueError, KeyError, TypeError):
            hello = json.loads(connection.recv_bytes(1000))
            if secrets.compare_digest(hello["token"], token):
                _set_read_timeout(accepted, 0)
                return RemoteWorker(connection, hello["node"], hello["local_rank"])
        connection.close()
    return None


def _set_read_timeout(connected: socket.socket, seconds: int) -> None:
    """Let the system end a read after so many seconds, half a message too; 0: never."""
    connected.setblocking(True)  # else a read would not wait at all
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))


def _key(process: LaunchedProcess) -> str:
    """Key in the store under which rank 0 says where it listens."""
    return f"devise_exp/{process.attempt}"


def _store(process: LaunchedProcess) -> TCPStore:
    """Open the key-value store of torch at the launcher's meeting point; rank 0 serves it."""
    try:
        return TCPStore(
            process.address,
            process.port,
            is_master=process.rank == 0 and not process.agent_store,
            timeout=timedelta(seconds=_TIMEOUT),
            wait_for_workers=False,
        )
    except RuntimeError as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{process.address}:{process.port}, where the processes meet: {reason}: set "
            "MASTER_ADDR to the node of the first process and MASTER_PORT to a free port there"
        ) from error


def _first_node(nodes: str) -> str:
    """The first of Slurm's list: gpu[07-09,12],big -> gpu07."""
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodes).split(",")[0]


def _port(job: str, step: str) -> int:
    """The same port for all processes of a step, another for the steps and jobs next to it."""
    return 15000 + (16 * int(job) + int(step)) % 16384
