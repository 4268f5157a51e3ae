"""The other ranks as rank 0 sees them: it does everything but the stages of a training alone.

Lightning would start the ranks with this process's own command line, which in a Hydra multirun is
that of the whole sweep. So rank 0 starts them itself, or torchrun or srun has (see `launchers`);
they get the config of the job at hand with every order, and Lightning finds them there.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import torch

from devise_exp.core.command import WRONG_INPUT
from devise_exp.core.errors import InputError
from devise_exp.training.distributed.ranks import (
    DONE,
    END,
    FAILED,
    LEADER,
    READY,
    ROWS,
    RankInfo,
    StageRequest,
)

CHILD = ("-m", "devise_exp.pipelines.distributed_main")
_GRACE = 60.0  # seconds for the other ranks to follow one that has ended


class RemoteWorker:
    """Another rank, as rank 0 sees it."""

    def __init__(
        self,
        connection: Connection,
        node: int,
        local: int,
        process: subprocess.Popen | None = None,
    ) -> None:
        self.node, self.local, self.process = node, local, process
        self.failure: bytes | None = None
        self._connection = connection
        self._messages: queue.Queue[bytes] = queue.Queue(2)  # rows wait with it, not with us
        threading.Thread(target=self._listen, daemon=True).start()

    def __str__(self) -> str:
        return f"the process {self.local} of node {self.node}"

    def tell(self, message: bytes) -> None:
        with suppress(OSError):  # it has died, which `take` says
            self._connection.send_bytes(message)

    def take(self, kind: bytes, seconds: float | None = None) -> bytes:
        """What it says next, of the kind that is expected; InputError where it has failed, and
        where it says nothing for so many seconds.
        """
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            raise InputError(f"{self} no longer answers: see what it is doing") from None
        if message[:1] != kind:
            raise self.error()
        return message[1:]

    def error(self) -> InputError:
        """Its failure in one line; what only a programmer can read goes to stderr."""
        text = (self.failure or b"").decode()
        if not text:
            return InputError(f"{self} has died: was it killed, or is it out of memory?")
        if "\n" not in text:
            return InputError(f"{self}: {text}")
        print(f"{self}:\n{text}", file=sys.stderr, flush=True)
        return InputError(f"{self} ended with an error: see its message above")

    def _listen(self) -> None:
        while self.failure is None:
            try:
                message = self._connection.recv_bytes()
            except (EOFError, OSError):
                message = FAILED
            if message[:1] == FAILED:
                self.failure = message[1:]
            self._messages.put(message)


class WorkerPool:
    """The other ranks of rank 0: `devices` on each of `nodes` machines, itself the first."""

    def __init__(
        self,
        devices: int,
        nodes: int = 1,
        followers: Sequence[RemoteWorker] | None = None,
        address: str = "127.0.0.1",
        child: Sequence[str] = CHILD,
    ) -> None:
        """Without followers, started by somebody else, they are started here when first needed, by
        the arguments `child` of the interpreter.
        """
        self.devices, self.nodes, self.address, self.child = devices, nodes, address, child
        self.size = devices * nodes
        self.followers = list(followers or ())
        self.own = followers is None
        self._busy = False

    @contextmanager
    def training(self, order: StageRequest) -> Iterator[None]:
        """The ranks train; rank 0 must come to `fit` as well. InputError where another fails."""
        if self.size == 1:
            yield
            return
        port = self._tell(order)
        done = threading.Event()
        # The ranks meet in a call that nothing can interrupt, not even Ctrl-C: so only once all of
        # them are sure to come.
        for each in self.followers:
            each.take(READY)
        threading.Thread(target=self._watch, args=(done,), daemon=True).start()
        try:
            with self._seat(port=port).taken():
                try:
                    yield
                except RuntimeError as error:  # "closed by peer" is but an echo of another's end
                    if failed := self._failed(5):
                        raise failed.error() from error
                    raise
        finally:
            done.set()
        self._finish()

    @contextmanager
    def extracting(self, order: StageRequest) -> Iterator[list[Iterator[bytes]]]:
        """The ranks extract features; yields the rows that each of the others sends, in batches."""
        if self.size > 1:
            self._tell(order)
        yield [iter(partial(each.take, ROWS), None) for each in self.followers]
        self._finish()

    def close(self) -> None:
        """Nothing more is to be done."""
        for each in self.followers:
            each.tell(END)
            if each.process is not None:
                each.process.kill()
                each.process.wait()

    def _tell(self, order: StageRequest) -> int:
        """The others set to work; returns the port where all ranks will meet."""
        if self._busy:
            raise InputError(
                "the other processes were lost when an earlier job of this sweep failed: start "
                "the rest of it again"
            )
        if self.own and not self.followers:
            self.followers = [_started(self.child, local) for local in range(1, self.devices)]
        self._busy, port = True, _free_port()
        for each in self.followers:
            seat = self._seat(each.node, each.local, port)
            each.tell(json.dumps([asdict(order), asdict(seat)]).encode())
        return port

    def _seat(self, node: int = 0, local: int = 0, port: int = 0) -> RankInfo:
        threads = torch.get_num_threads()
        return RankInfo(node, local, self.devices, self.nodes, self.address, port, threads)

    def _finish(self) -> None:
        for each in self.followers:
            each.take(DONE, _GRACE)
        self._busy = False

    def _failed(self, seconds: float) -> RemoteWorker | None:
        """Which rank has failed, or does within `seconds`; of several the one that says why."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if any(each.failure is not None for each in self.followers):
                time.sleep(0.5)  # the first to be heard may be but an echo of another
                failed = [each for each in self.followers if each.failure is not None]
                return min(failed, key=lambda each: (each.failure or b"").count(b"\n"))
            time.sleep(0.1)
        return None

    def _watch(self, done: threading.Event) -> None:
        """End this process where another rank has failed and this one waits for it all the same:
        deaf to signals, on some networks for half an hour.
        """
        while not done.wait(1):
            if (failed := self._failed(0.2)) and not done.wait(_GRACE):
                print(f"error: {failed.error()}", file=sys.stderr, flush=True)
                self.close()
                os._exit(WRONG_INPUT)


_worker_pool: WorkerPool | None = None


@contextmanager
def worker_pool(devices: int, nodes: int = 1) -> Iterator[WorkerPool]:
    """The other ranks of this process: those that are there already, or new ones until the end.

    InputError where there are others than the config asks for.
    """
    if _worker_pool is not None:
        if (_worker_pool.devices, _worker_pool.nodes) != (devices, nodes):
            raise InputError(
                f"trainer.devices={devices} and trainer.num_nodes={nodes} ask for "
                f"{_processes(devices * nodes)}, but {_worker_pool.devices} on each of "
                f"{_worker_pool.nodes} nodes were started: let both agree (with trainer=ddp)"
            )
        yield _worker_pool
        return
    if nodes > 1:
        raise InputError(
            f"trainer.num_nodes={nodes}: start train.py on every node, by torchrun or srun (README)"
        )
    with installed(WorkerPool(devices)) as made:
        yield made


def has_worker_pool() -> bool:
    """Whether other ranks are there already."""
    return _worker_pool is not None


@contextmanager
def installed(made: WorkerPool) -> Iterator[WorkerPool]:
    """`made` is the crew of this process for a while."""
    global _worker_pool
    _worker_pool = made
    try:
        yield made
    finally:
        _worker_pool = None
        if made.own:
            made.close()


def _processes(n: int) -> str:
    return "1 process" if n == 1 else f"{n} processes"


def _started(child: Sequence[str], local: int) -> RemoteWorker:
    ours, theirs = Pipe()
    environment = {**os.environ, LEADER: str(theirs.fileno())}
    command = [sys.executable, *child]
    process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
    theirs.close()
    return RemoteWorker(ours, 0, local, process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port
