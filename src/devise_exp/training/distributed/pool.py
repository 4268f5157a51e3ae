"""The workers of rank 0 as a pool, which trains and extracts on request.

Lightning would start the ranks with this process's command line, in a Hydra multirun that of the
whole sweep. So rank 0 starts the workers, or torchrun or srun has (`launchers`); they get the job's
config with every request, and Lightning finds them by their environment.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

import torch

from devise_exp.core.command import WRONG_INPUT, spelled
from devise_exp.core.console import print_error
from devise_exp.core.errors import InputError
from devise_exp.training.distributed.ranks import RankInfo, StageRequest
from devise_exp.training.distributed.serving import DONE, END, READY, ROWS
from devise_exp.training.distributed.workers import RemoteWorker, start_worker

_GRACE = 60.0  # seconds for the other ranks to follow one that has ended


class WorkerPool:
    """Rank 0's workers: all ranks but itself. Their failures are InputErrors here.

    Args:
        processes_per_node: Processes on each node, rank 0 included.
        nodes: Number of nodes.
        command: Arguments of the Python interpreter that start a worker on this node.
        workers: The workers if a launcher has started them; None: `command` does when needed.
        address: Host where the ranks meet.
    """

    def __init__(
        self,
        processes_per_node: int,
        nodes: int = 1,
        *,
        command: Sequence[str] = (),
        workers: Sequence[RemoteWorker] | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.processes_per_node, self.nodes = processes_per_node, nodes
        self.command, self.address = command, address
        self.world_size = processes_per_node * nodes
        self.workers = list(workers or ())
        self.starts_workers = workers is None
        self._busy = False

    @contextmanager
    def training(self, request: StageRequest) -> Iterator[None]:
        """Let the workers train while the caller, as rank 0, fits the same module.

        Args:
            request: The stage to train.

        Yields:
            Nothing; the workers are ready, and Lightning's environment is set.
        """
        if self.world_size == 1:
            yield
            return
        port = self._send_request(request)
        done = threading.Event()
        # The ranks meet in a call that nothing can interrupt, not even Ctrl-C: so only once all of
        # them are sure to come.
        for worker in self.workers:
            worker.receive(READY)
        threading.Thread(target=self._watch, args=(done,), daemon=True).start()
        try:
            with self.rank_info(port=port).lightning_environment():
                try:
                    yield
                except RuntimeError as error:  # "closed by peer" only echoes another rank's end
                    if failed := self._failed(5):
                        raise failed.error() from error
                    raise
        finally:
            done.set()
        self._finish()

    @contextmanager
    def extracting(self, request: StageRequest) -> Iterator[list[Iterator[bytes]]]:
        """Let the workers extract their shards of a feature bank.

        Args:
            request: The bank and its first missing row.

        Yields:
            For every worker an iterator of its batches of rows.
        """
        if self.world_size > 1:
            self._send_request(request)
        yield [iter(partial(worker.receive, ROWS), None) for worker in self.workers]
        self._finish()

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.send(END)
            if worker.process is not None:
                worker.process.kill()
                worker.process.wait()

    def rank_info(self, node: int = 0, local_rank: int = 0, port: int = 0) -> RankInfo:
        """Describe one rank of this pool.

        Args:
            node: Number of its node.
            local_rank: Number of the process on its node.
            port: Port where the ranks meet.

        Returns:
            Its identity.
        """
        return RankInfo(
            node=node,
            local_rank=local_rank,
            processes_per_node=self.processes_per_node,
            nodes=self.nodes,
            address=self.address,
            port=port,
            threads=torch.get_num_threads(),
        )

    def _send_request(self, request: StageRequest) -> int:
        """Set the workers to work; returns the port where all ranks meet."""
        if self._busy:
            raise InputError(
                "the other processes were lost when an earlier job of this sweep failed: start "
                "the rest of the sweep again"
            )
        if self.starts_workers and not self.workers:
            self.workers = [start_worker(self.command, i) for i in range(1, self.world_size)]
        self._busy, port = True, _free_port()
        for worker in self.workers:
            rank_info = self.rank_info(worker.node, worker.local_rank, port)
            worker.send(json.dumps([asdict(request), asdict(rank_info)]).encode())
        return port

    def _finish(self) -> None:
        """Wait until all workers have done their stage."""
        for worker in self.workers:
            worker.receive(DONE, _GRACE)
        self._busy = False

    def _failed(self, seconds: float) -> RemoteWorker | None:
        """A worker that has failed, or does within `seconds`; of several one that says why."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if any(worker.failure is not None for worker in self.workers):
                time.sleep(0.5)  # the first failure may only echo another
                failed = [worker for worker in self.workers if worker.failure is not None]
                return min(failed, key=lambda worker: (worker.failure or b"").count(b"\n"))
            time.sleep(0.1)
        return None

    def _watch(self, done: threading.Event) -> None:
        """End this process if a worker has failed and this process still waits for it.

        Such a wait ignores signals, on some networks for half an hour.
        """
        while not done.wait(1):
            if (failed := self._failed(0.2)) and not done.wait(_GRACE):
                print_error(str(failed.error()))
                self.close()
                os._exit(WRONG_INPUT)


_current: WorkerPool | None = None


@contextmanager
def worker_pool(
    processes_per_node: int, nodes: int = 1, *, command: Sequence[str] = ()
) -> Iterator[WorkerPool]:
    """Take the pool of this process, or open one until the end of the block.

    Args:
        processes_per_node: Processes on each node that the config asks for.
        nodes: Nodes that the config asks for.
        command: Arguments of the Python interpreter that start a worker on this node.

    Yields:
        The pool.

    Raises:
        InputError: The pool has other numbers of processes, or no launcher started several nodes.
    """
    if _current is not None:
        if (_current.processes_per_node, _current.nodes) != (processes_per_node, nodes):
            n = processes_per_node * nodes
            raise InputError(
                f"trainer.devices={processes_per_node} and trainer.num_nodes={nodes} ask for {n} "
                f"process{'es' if n > 1 else ''}, but {_current.processes_per_node} on each of "
                f"{_current.nodes} nodes were started: let both agree (with trainer=ddp)"
            )
        yield _current
        return
    if nodes > 1:
        raise InputError(
            f"trainer.num_nodes={nodes}: start {spelled('train')} on every node, by torchrun or "
            "srun (README)"
        )
    with use_worker_pool(WorkerPool(processes_per_node, command=command)) as pool:
        yield pool


def has_worker_pool() -> bool:
    """Say whether this process has a pool already.

    Returns:
        True inside a block of `use_worker_pool`.
    """
    return _current is not None


@contextmanager
def use_worker_pool(pool: WorkerPool) -> Iterator[WorkerPool]:
    """Make `pool` the pool of this process for the block.

    Args:
        pool: The pool; its workers are ended with the block if it starts them itself.

    Yields:
        `pool`.
    """
    global _current
    _current = pool
    try:
        yield pool
    finally:
        _current = None
        if pool.starts_workers:
            pool.close()


def _free_port() -> int:
    """A port that nothing on this host listens on."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port
