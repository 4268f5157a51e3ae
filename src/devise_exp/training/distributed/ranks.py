"""The ranks of a training on several devices: how many there are, and what all but the first do,
which is to wait until that one tells them to take part in a stage.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from devise_exp.core.command import INTERRUPTED
from devise_exp.core.errors import InputError, user_message

LEADER = "DEVISE_LEADER"  # in a child of rank 0: the descriptor of its connection
READY, ROWS, DONE, FAILED = b"r", b"b", b"d", b"f"  # the messages of a follower begin so
END = b""  # rank 0's last message


def processes_per_node(
    strategy: str, devices: int | str | Sequence[int], accelerator: str = "auto", nodes: int = 1
) -> int:
    """How many processes each machine shall run for trainer.strategy, .devices and .accelerator.

    InputError for strategies that start their processes in another way than we do.
    """
    if not (strategy == "auto" or strategy == "ddp" or strategy.startswith("ddp_find_unused")):
        if devices in (1, "1") and nodes == 1:
            return 1
        raise InputError(f"trainer.strategy={strategy}: for several devices choose ddp")
    if isinstance(devices, str) and "," in devices:  # "0,1": these two
        return len([each for each in devices.split(",") if each.strip()])
    if devices in (-1, "-1", "auto"):
        return 1 if accelerator == "cpu" else max(1, torch.cuda.device_count())
    return int(devices) if isinstance(devices, int | str) else len(devices)


def gpu_of(devices: int | str | Sequence[int], local: int) -> int:
    """Which GPU of its machine trainer.devices gives to process `local` there."""
    if isinstance(devices, str) and "," in devices:
        return int([each for each in devices.split(",") if each.strip()][local])
    return local if isinstance(devices, int | str) else int(devices[local])


@dataclass(frozen=True)
class RankInfo:
    """A rank's place: process number `local` of the `devices` on each of `nodes` machines.

    address, port: where the ranks of one training meet. threads: those of torch in rank 0, since
    the bits of a feature depend on them.
    """

    node: int = 0
    local: int = 0
    devices: int = 1
    nodes: int = 1
    address: str = "127.0.0.1"
    port: int = 0
    threads: int = 1

    @property
    def rank(self) -> int:
        """As Lightning counts."""
        return self.node * self.devices + self.local

    @property
    def world(self) -> int:
        return self.nodes * self.devices

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Lightning finds this rank's place and the others; afterwards no trace of them is left."""
        os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)  # rank 0 has the store, not torchrun
        given = {
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
            "WORLD_SIZE": str(self.world),
            "NODE_RANK": str(self.node),
            "LOCAL_RANK": str(self.local),
        }
        os.environ.update(given)
        try:
            yield
        finally:
            if torch.distributed.is_available() and torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
            for name in (*given, "PL_GLOBAL_SEED"):
                os.environ.pop(name, None)


@dataclass(frozen=True)
class StageRequest:
    """What rank 0 wants of the others: to take part in a stage, by the config (YAML) of the job.

    stage: "projection" or "network" of a training into the folder `run`; "features" to extract rows
    from `start` on of the bank `key`, by the weights of `checkpoint` if the network was trained
    too.
    """

    stage: str
    config: str
    run: str = ""
    key: str = ""
    start: int = 0
    checkpoint: str | None = None


_leader: Connection | None = None


def parent() -> Connection:
    """In a child of `Crew`: the connection to rank 0."""
    return Connection(int(os.environ.pop(LEADER)))


def serve_stages(leader: Connection, act: Callable[[StageRequest, RankInfo], None]) -> None:
    """Do what rank 0 says until it says that this is the end. Where it ends without, so does this
    process, with an exit code of 1 and no word: rank 0 has said why.
    """
    global _leader
    _leader = leader
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while message := leader.recv_bytes():
                messages.put(message)
            messages.put(END)
        except (EOFError, OSError):
            os._exit(1)  # whatever this process waits for will not come

    threading.Thread(target=listen, daemon=True).start()
    try:
        while message := messages.get():
            order, seat = json.loads(message)
            _obey(StageRequest(**order), RankInfo(**seat), act)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)


def _obey(
    order: StageRequest, seat: RankInfo, act: Callable[[StageRequest, RankInfo], None]
) -> None:
    torch.set_num_threads(seat.threads)
    with seat.taken():
        try:
            act(order, seat)
            answer = DONE
        except Exception as error:
            answer = FAILED + (user_message(error) or traceback.format_exc()).encode()
        _say(answer)


def send_ready() -> None:
    """In a follower: tell rank 0 that this rank comes now."""
    _say(READY)


def send_rows(rows: bytes) -> None:
    """In a follower: give rank 0 the next batch of features."""
    _say(ROWS + rows)


def _say(message: bytes) -> None:
    if _leader is not None:
        with suppress(OSError):  # rank 0 has ended, and soon so does this process
            _leader.send_bytes(message)
