"""Trials as jobs of Slurm, or processes of this machine, by submitit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from devise_exp.core.console import notify
from devise_exp.core.errors import InputError, as_input_error
from devise_exp.core.machine import processors
from devise_exp.pipelines.sweep.executors import Executor, Job, Result, extra

_FRAME = "\n----------------------\n"
_PAUSE = 0.2  # seconds between two looks at the jobs


class SubmititJobs(Executor):
    """A job per trial; one that is lost is submitted again.

    Args:
        folder: Of the study; what jobs print is in its folder jobs.
        cluster: slurm, or local: processes of this machine.
        workers: Jobs at once; None: on Slurm all of a round, else one per processor.
        retries: How often a lost job is submitted again.
        parameters: Of submitit's executor: timeout_min, slurm_partition ...
    """

    def __init__(
        self,
        folder: Path,
        cluster: str = "slurm",
        workers: int | None = None,
        retries: int = 2,
        **parameters: Any,
    ) -> None:
        self.library = extra("submitit", "submitit", "slurm")
        with as_input_error("executor"):
            self.engine = self.library.AutoExecutor(folder / "jobs" / "%j", cluster=cluster)
            self.engine.update_parameters(**parameters)
        self.workers = workers or (processors() if cluster == "local" else None)
        self.retries = retries
        self.running: list[tuple[Any, Any, int]] = []  # submitit's job, ours, its retries

    def __exit__(self, *error: object) -> None:
        """Cancel the jobs that still wait or run."""
        for task, _, _ in self.running:
            task.cancel(check=False)

    def outcomes(
        self, function: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Result | None]]:
        """Run jobs: see Executor."""
        waiting = [(job, 0) for job in reversed(jobs)]
        while waiting or self.running:
            while waiting and len(self.running) < (self.workers or len(jobs)):
                job, retries = waiting.pop()
                self.running.append((self.engine.submit(function, job), job, retries))
            for item in [item for item in self.running if item[0].done()]:
                self.running.remove(item)
                task, job, retries = item
                try:
                    yield job, task.result()
                except self.library.core.utils.UncompletedJobError as error:
                    line = _last_line(error)
                    failed = isinstance(error, self.library.core.utils.FailedJobError)
                    if failed and "MemoryError" not in line:  # the function has raised
                        raise InputError(line) from error
                    if retries == self.retries:
                        yield job, None
                        continue
                    notify(f"job {task.job_id} was lost: its trial runs again")
                    waiting.append((job, retries + 1))
            time.sleep(_PAUSE)


def _last_line(error: Exception) -> str:
    """What a job has raised: the end of the traceback that submitit frames by dashes."""
    trace = str(error).split(_FRAME)[1] if _FRAME in str(error) else str(error)
    line = trace.strip().splitlines()[-1]
    return line.partition("InputError: ")[2] or line
