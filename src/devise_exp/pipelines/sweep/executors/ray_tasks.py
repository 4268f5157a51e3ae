"""Trials as tasks of Ray, on a cluster or on this machine."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep.executors import ONE_THREAD, Executor, Job, Result, extra


class RayTasks(Executor):
    """A task per trial; Ray runs one again whose process or node is lost.

    Args:
        folder: Of the study; not used: what tasks print is in Ray's own logs.
        address: Of a cluster, HOST:PORT or auto; None: Ray is started on this machine.
        workers: Tasks at once on this machine; None: one per processor. A cluster has its own.
        retries: How often Ray runs a lost task again.
        options: Of ray.remote: num_cpus, resources ...
    """

    def __init__(
        self,
        folder: Path,
        address: str | None = None,
        workers: int | None = None,
        retries: int = 3,
        **options: Any,
    ) -> None:
        self.ray = extra("ray", "ray", "ray")
        self.address, self.workers = address, workers
        self.options = {"max_retries": retries, "retry_exceptions": [MemoryError], **options}

    def __enter__(self) -> RayTasks:
        """Start Ray, or join a cluster."""
        variables = {k: v for k, v in os.environ.items() if k.startswith("DEVISE_")}
        here = {"num_cpus": self.workers, "include_dashboard": False} if not self.address else {}
        is_main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGTERM)
        try:
            self.ray.init(
                self.address or "local",  # else Ray reads RAY_ADDRESS
                runtime_env={"env_vars": {**variables, **ONE_THREAD}},
                log_to_driver=False,
                logging_level=logging.ERROR,
                **here,
            )
        except Exception as error:  # of any kind; a node that does not start is a bare one
            reason = str(error).strip().split("\n")[0].rstrip(".")
            raise InputError(
                f"executor.address={self.address or 'null'}: Ray does not start: {reason}"
            ) from error
        if is_main:
            signal.signal(signal.SIGTERM, handler)  # Ray's own would end without a line
        return self

    def __exit__(self, *error: object) -> None:
        """End the tasks that still run, and leave Ray."""
        self.ray.shutdown()

    def outcomes(
        self, function: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Result | None]]:
        """Run jobs: see Executor."""
        remote = self.ray.remote(**self.options)(function)
        running = {remote.remote(job): job for job in jobs}
        while running:
            (task, *_), _ = self.ray.wait(list(running))
            job = running.pop(task)
            try:
                yield job, self.ray.get(task)
            except self.ray.exceptions.RayTaskError as error:  # the function has raised
                raise error.cause from None
            except self.ray.exceptions.RayError:
                yield job, None
