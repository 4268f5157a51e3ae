"""Trials on processes of this machine, by concurrent.futures."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType

from devise_exp.core.console import notify
from devise_exp.core.machine import processors
from devise_exp.core.stops import end_with_parent, hold_ctrl_c
from devise_exp.pipelines.sweep.executors import Executor, Job, Result

LOG = "workers.log"
_ATTEMPTS = 2  # of all jobs together, before each of those left runs alone


class Processes(Executor):
    """A pool of processes; one that breaks is replaced, and its jobs are run again.

    A pool does not say whose process was lost. So jobs that were lost twice run one at a time,
    which shows those that lose their process each time.

    Args:
        folder: Of the study; what workers print is in its workers.log.
        workers: Processes; None: one per processor.
    """

    def __init__(self, folder: Path, workers: int | None = None) -> None:
        self.folder = folder
        self.workers = workers or processors()
        self.pool: ProcessPoolExecutor | None = None
        self.others = set(multiprocessing.active_children())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all workers; those that have work in hand are not waited for."""
        if error is not None:
            for process in set(multiprocessing.active_children()) - self.others:
                process.terminate()
        self._end_pool()

    def outcomes(
        self, function: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Result | None]]:
        """Run jobs: see Executor."""
        left = list(jobs)
        for _ in range(_ATTEMPTS):
            left = yield from self._attempt(function, left)
            if not left:
                return
            notify(f"a worker was lost (out of memory?): {len(left)} trials run again")
        for job in left:
            if (yield from self._attempt(function, [job])):
                yield job, None

    def _attempt(
        self, function: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Generator[tuple[Job, Result], None, list[Job]]:
        """Run jobs once; those whose process was lost are returned."""
        futures: dict[Future[Result], Job] = {}
        lost = []
        for job in jobs:
            try:
                with hold_ctrl_c():  # which the sweep takes, for its workers too
                    futures[self._pool().submit(function, job)] = job
            except BrokenProcessPool:
                lost.append(job)
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except (BrokenProcessPool, MemoryError):
                lost.append(futures[future])
        if lost:
            self._end_pool()
        return lost

    def _pool(self) -> ProcessPoolExecutor:
        if self.pool is None:
            self.pool = ProcessPoolExecutor(
                self.workers,
                multiprocessing.get_context("spawn"),
                _begin,
                (self.folder / LOG,),
            )
        return self.pool

    def _end_pool(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
        self.pool = None


def _begin(log: Path) -> None:
    """Begin a worker: it prints to the log, and ends with the sweep."""
    os.setsid()
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    end_with_parent()
