"""A grid of runs (python train.py -m ...): each job is kept as a row, with one table at the end."""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from devise_exp.core.command import WRONG_INPUT, underlying_stop
from devise_exp.core.console import format_error, notify, print_error
from devise_exp.core.errors import user_message
from devise_exp.core.files import write_text
from devise_exp.pipelines.grid_tables import jobs_in, lost_jobs, write_tables
from devise_exp.pipelines.outputs import NOTE, TRACEBACK


def grid_folder() -> Path | None:
    """Find the grid that this process runs a job of.

    Returns:
        Its folder; None if this is no job of a grid.
    """
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).absolute()


class OneLineErrors(Callback):
    """A callback that ends a single job that failed in one line, before Hydra's own report."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """End the process if the job failed by wrong input."""
        if config.hydra.mode.name == "RUN" and job_return.status == JobStatus.FAILED:
            line = user_message(job_return._return_value)
            if line is not None:
                print_error(line)
                raise SystemExit(WRONG_INPUT)


class GridCallback(OneLineErrors):
    """Hydra's calls before and after each job, in its process, and at the end of the grid.

    A job that fails ends as a row with its error; the others go on, and the exit code is 1.
    """

    def __init__(self) -> None:
        self.started, self.began = time.monotonic(), 0.0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remove the notes of an earlier grid in the same folder.

        Args:
            config: Of the grid.
            **kwargs: Ignored.
        """
        sweep, self.began = Path(config.hydra.sweep.dir), time.time()
        for note in sweep.glob(f"*/{NOTE}"):  # of an earlier grid in the same folder
            try:
                note.unlink()
            except OSError as error:  # Hydra would make a warning of it
                notify(
                    f"error: {note}: of an earlier grid, and cannot be removed ({error.strerror}): "
                    "remove it, or give hydra.sweep.dir=ANOTHER"
                )
                raise SystemExit(WRONG_INPUT) from error

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Start the clock.

        Args:
            config: Of the job.
            **kwargs: Ignored.
        """
        self.started = time.monotonic()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note how the job ended."""
        super().on_job_end(config, job_return)
        hydra = config.hydra
        if hydra.mode.name != "MULTIRUN":
            return
        failed = job_return.status == JobStatus.FAILED
        if failed and (stop := underlying_stop(job_return._return_value)) is not None:
            raise stop
        folder = Path(HydraConfig.get().runtime.output_dir)
        error = format_error(job_return._return_value) if failed else ""
        note = {
            "number": hydra.job.num,
            "overrides": list(hydra.overrides.task),
            "seconds": time.monotonic() - self.started,
            "error": error,
        }
        try:
            _save_note(folder, note, job_return._return_value if failed else None)
        except OSError as wrong:
            notify(f"error: job {hydra.job.num} cannot be in the table: {format_error(wrong)}")
        if failed:
            notify(f"job {hydra.job.num} failed: {error}: {folder / TRACEBACK}")
            # Else Hydra would end the grid, without a table, at the first failure.
            job_return.status, job_return.return_value = JobStatus.COMPLETED, float("nan")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print and write the tables.

        Args:
            config: Of the grid.
            **kwargs: Ignored.
        """
        folder = Path(config.hydra.sweep.dir)
        jobs = [*jobs_in(folder), *lost_jobs(folder, self.began)]
        if not jobs:
            return
        failed = [job for job in jobs if job.error]
        try:  # Hydra would make a warning of an error here
            write_tables(folder, jobs, failed)
        except Exception as error:
            notify(f"error: no table of the grid: {format_error(error)}")
            raise SystemExit(1) from error
        if failed:
            raise SystemExit(1)


def _save_note(folder: Path, note: dict[str, Any], error: BaseException | None) -> None:
    """Save what the table needs of a job and, if it failed, its traceback."""
    if error is None:
        (folder / TRACEBACK).unlink(missing_ok=True)  # of an earlier try
    else:
        write_text(folder / TRACEBACK, "".join(traceback.format_exception(error)))
    write_text(folder / NOTE, json.dumps(note, indent=1))
