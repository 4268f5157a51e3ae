"""Processes that torchrun or srun has started: which of them is which, and how they meet."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection

from torch.distributed import TCPStore  # type: ignore[attr-defined]

from devise_exp.core.errors import InputError
from devise_exp.training.distributed.workers import RemoteWorker, WorkerPool

_PATIENCE = 300.0  # seconds for all processes to come; nodes do not start at once


@dataclass(frozen=True)
class LaunchedProcess:
    """A process among the `world` that a launcher has started: number `rank` of all, and number
    `local` on its node. They meet at address:port; `store`: torchrun listens there itself.
    """

    launcher: str
    rank: int
    world: int
    node: int
    local: int
    address: str
    port: int
    store: bool = False
    attempt: int = 0


def from_environment(environment: Mapping[str, str]) -> LaunchedProcess | None:
    """What torchrun or srun says of this process; None where neither has started several."""
    env = environment
    try:
        if {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"} <= env.keys():
            place = LaunchedProcess(
                "torchrun",
                int(env["RANK"]),
                int(env["WORLD_SIZE"]),
                int(env.get("GROUP_RANK", "0")),
                int(env["LOCAL_RANK"]),
                env["MASTER_ADDR"],
                int(env["MASTER_PORT"]),
                env.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
                int(env.get("TORCHELASTIC_RESTART_COUNT", "0")),
            )
        elif {"SLURM_PROCID", "SLURM_STEP_NODELIST"} <= env.keys():  # a batch script has but one
            place = LaunchedProcess(
                "srun",
                int(env["SLURM_PROCID"]),
                int(env["SLURM_NTASKS"]),
                int(env["SLURM_NODEID"]),
                int(env["SLURM_LOCALID"]),
                env.get("MASTER_ADDR") or _first(env["SLURM_STEP_NODELIST"]),
                int(env.get("MASTER_PORT") or _port(env["SLURM_JOB_ID"], env["SLURM_STEP_ID"])),
            )
        else:
            return None
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the variables of torchrun or srun are not whole ({error}): start train.py by one of "
            "them, or unset RANK and SLURM_PROCID"
        ) from error
    return place if place.world > 1 else None


def connect_worker(place: LaunchedProcess) -> Connection:
    """The connection of any other process to the first one; InputError where that never comes."""
    store = _store(place)
    try:
        found = json.loads(store.get(_key(place)))
    except RuntimeError as error:
        raise InputError(
            f"the first of {place.world} processes did not come within {_PATIENCE:.0f} s: see "
            "what keeps it"
        ) from error
    try:
        with socket.create_connection((place.address, found["port"]), _PATIENCE) as made:
            made.settimeout(None)
            connection = Connection(made.detach())
        hello = {"token": found["token"], "node": place.node, "local": place.local}
        connection.send_bytes(json.dumps(hello).encode())
    except OSError as error:
        raise InputError(
            f"{place.address}:{found['port']}, the first process, cannot be reached: {error}: "
            "open ports between the nodes, or set MASTER_ADDR to an address that all can reach"
        ) from error
    return connection


def connect_leader(place: LaunchedProcess) -> WorkerPool:
    """All other processes, for the first one; InputError where not all come, or do not stand in
    equal numbers on every node.
    """
    token = secrets.token_hex(16)
    followers: list[RemoteWorker] = []
    store, until = _store(place), time.monotonic() + _PATIENCE
    with socket.create_server(("", 0), backlog=place.world) as server:
        port = server.getsockname()[1]
        store.set(_key(place), json.dumps({"port": port, "token": token}))
        while len(followers) < place.world - 1:
            server.settimeout(max(0.1, until - time.monotonic()))
            try:
                connection = Connection(server.accept()[0].detach())
            except TimeoutError:
                raise InputError(
                    f"{len(followers) + 1} of {place.world} processes came within "
                    f"{_PATIENCE:.0f} s: see what keeps the others"
                ) from None
            with suppress(OSError, EOFError, ValueError, KeyError, TypeError):  # of a stranger
                hello = json.loads(connection.recv_bytes(1000))
                if secrets.compare_digest(hello["token"], token):
                    followers.append(RemoteWorker(connection, hello["node"], hello["local"]))
    seats = sorted({(0, 0), *((each.node, each.local) for each in followers)})
    nodes, devices = (1 + max(numbers) for numbers in zip(*seats, strict=True))
    if len(seats) != place.world or nodes * devices != place.world:
        raise InputError(
            f"{place.launcher} has started {place.world} processes, not as many on each of "
            f"{nodes} nodes: ask for the same number everywhere"
        )
    return WorkerPool(devices, nodes, followers, place.address)


def _key(place: LaunchedProcess) -> str:
    return f"devise_exp/{place.attempt}"


def _store(place: LaunchedProcess) -> TCPStore:
    try:
        return TCPStore(
            place.address,
            place.port,
            is_master=place.rank == 0 and not place.store,
            timeout=timedelta(seconds=_PATIENCE),
            wait_for_workers=False,
        )
    except RuntimeError as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{place.address}:{place.port}, where the processes meet: {reason}: set MASTER_ADDR to "
            "the node of the first process and MASTER_PORT to a free port there"
        ) from error


def _first(nodes: str) -> str:
    """The first of Slurm's list: gpu[07-09,12],big -> gpu07."""
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodes).split(",")[0]


def _port(job: str, step: str) -> int:
    """The same for all processes of a step, and another for the steps and jobs next to it."""
    return 15000 + (16 * int(job) + int(step)) % 16384
