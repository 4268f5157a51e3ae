"""A grid of runs (python train.py -m ...): each trial kept as a row, and one table at the end."""

from __future__ import annotations

import csv
import json
import time
import traceback
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from devise_exp.core.command import WRONG_INPUT, underlying_stop
from devise_exp.core.console import format_error, notify, print_error, printable
from devise_exp.core.errors import user_message
from devise_exp.core.files import atomic_path

if TYPE_CHECKING:
    from devise_exp.reports.comparison import Comparison, Line
    from devise_exp.runs.results import RunResults

NOTE, TRACEBACK = "trial.json", "error.txt"


@dataclass(frozen=True)
class GridJob:
    """One job of a grid, kept in its folder: what it was told, how long it took, and its error,
    "" where it has none.
    """

    folder: Path
    number: int
    overrides: tuple[str, ...]
    seconds: float
    error: str


def grid_folder() -> Path | None:
    """Of the grid that this process runs a trial of."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return Path(HydraConfig.get().sweep.dir).absolute()


class OneLineErrors(Callback):
    """Ends a single job that failed in one line, which Hydra's own report would stand before."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        if config.hydra.mode.name == "RUN" and job_return.status == JobStatus.FAILED:
            line = user_message(job_return._return_value)
            if line is not None:
                print_error(line)
                raise SystemExit(WRONG_INPUT)


class GridCallback(OneLineErrors):
    """Hydra's calls before and after each job, in whatever process a launcher runs it, and at the
    end of the grid.

    A job that fails ends as a row with its error; the others go on, and the exit code is 1.
    """

    def __init__(self) -> None:
        self.started, self.began = time.monotonic(), 0.0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
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
        self.started = time.monotonic()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        super().on_job_end(config, job_return)
        own = config.hydra
        if own.mode.name != "MULTIRUN":
            return
        failed = job_return.status == JobStatus.FAILED
        if failed and (stop := underlying_stop(job_return._return_value)) is not None:
            raise stop
        folder = Path(HydraConfig.get().runtime.output_dir)
        error = format_error(job_return._return_value) if failed else ""
        note = {
            "number": own.job.num,
            "overrides": list(own.overrides.task),
            "seconds": time.monotonic() - self.started,
            "error": error,
        }
        try:
            _keep(folder, note, job_return._return_value if failed else None)
        except OSError as wrong:
            notify(f"error: trial {own.job.num} cannot be in the table: {format_error(wrong)}")
        if failed:
            notify(f"trial {own.job.num} failed: {error}: {folder / TRACEBACK}")
            # Told as done, or Hydra would end the grid, without a table, at the first that failed.
            job_return.status, job_return.return_value = JobStatus.COMPLETED, float("nan")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        trials = [*trials_in(folder), *_lost(folder, self.began)]
        if not trials:
            return
        failed = [trial for trial in trials if trial.error]
        try:  # Hydra would make a warning of an error here
            _tell(folder, trials, failed)
        except Exception as error:
            notify(f"error: no table of the grid: {format_error(error)}")
            raise SystemExit(1) from error
        if failed:
            raise SystemExit(1)


def _lost(folder: Path, began: float) -> list[GridJob]:
    """Trials since `began` that could not leave a note, or were killed before."""
    found = [
        each
        for each in folder.iterdir()
        if each.name.isdecimal() and not (each / NOTE).exists() and each.stat().st_mtime >= began
    ]
    error = f"it has left no {NOTE}: it was killed, or its folder cannot be written"
    return [GridJob(each, int(each.name), (), 0.0, error) for each in sorted(found)]


def _keep(folder: Path, note: dict[str, Any], error: BaseException | None) -> None:
    """What the table needs of a trial; and where it failed, the whole of its error for a person."""
    if error is None:
        (folder / TRACEBACK).unlink(missing_ok=True)  # of an earlier try
    else:
        with atomic_path(folder / TRACEBACK) as made:
            made.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    with atomic_path(folder / NOTE) as made:
        made.write_text(json.dumps(note, indent=1))


def _tell(folder: Path, trials: list[GridJob], failed: list[GridJob]) -> None:
    """Print and write the tables of a grid."""
    from devise_exp.core.console import print_content  # late: a mistyped option need not wait
    from devise_exp.reports.comparison_formats import rich_table

    tables = tables_of(trials)
    for table in tables:
        print_content(rich_table(table))
    for trial in failed:
        file = trial.folder / TRACEBACK
        more = f": {file}" if file.is_file() else ""
        notify(f"failed: trial {trial.number} ({' '.join(trial.overrides)}): {trial.error}{more}")
    with atomic_path(folder / "trials.csv") as made:
        made.write_text(_csv(trials), encoding="utf-8", newline="")
    with atomic_path(folder / "trials.md") as made:
        made.write_text(_markdown(tables, failed), encoding="utf-8")
    notify(f"{len(trials)} trials, {len(failed)} failed: {folder} (trials.md, trials.csv)")


def trials_in(folder: Path) -> list[GridJob]:
    """The trials whose jobs have ended, by number; one whose note cannot be read has failed."""
    return sorted(map(_trial, folder.glob(f"*/{NOTE}")), key=lambda trial: trial.number)


def _trial(file: Path) -> GridJob:
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        overrides, seconds = tuple(map(str, note["overrides"])), float(note["seconds"])
        return GridJob(file.parent, int(note["number"]), overrides, seconds, str(note["error"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        name = file.parent.name
        number = int(name) if name.isdecimal() else -1
        return GridJob(
            file.parent, number, (), 0.0, f"{NOTE} cannot be read ({format_error(error)})"
        )


def tables_of(trials: list[GridJob]) -> list[Comparison]:
    """A table of all finished runs for each split, the best by seen validation images first."""
    from devise_exp.reports import comparison
    from devise_exp.runs.results import runs_in

    by_split: dict[str, list[RunResults]] = {}
    for trial in trials:
        if not trial.error:
            for run in runs_in([trial.folder]):
                by_split.setdefault(run.fingerprint, []).append(run)
    return [_sorted(comparison.compare(runs)) for runs in by_split.values()]


def _sorted(table: Comparison) -> Comparison:
    def worth(line: Line) -> float:
        return line.cells[0].value if line.cells[0] else -1.0

    return replace(table, lines=tuple(sorted(table.lines, key=worth, reverse=True)))


def _csv(trials: list[GridJob]) -> str:
    """A row per run: the trial, what it was told, its figures with their intervals, its error."""
    from devise_exp.evaluation.protocols import MODEL
    from devise_exp.reports.comparison import COMPARED
    from devise_exp.runs.results import runs_in

    out = StringIO()
    keys = [f"{name.key}{end}" for name in COMPARED for end in ("", "/lo", "/hi")]
    writer = csv.writer(out)
    writer.writerow(["trial", "folder", "overrides", "seconds", *keys, "error"])
    for trial in trials:
        told = printable(" ".join(trial.overrides))
        runs: list[RunResults | None] = [None]
        if not trial.error:
            runs = [*runs_in([trial.folder])]
        for run in runs:
            records = [run.record(MODEL, name) if run else None for name in COMPARED]
            values = [
                getattr(record, field, "")
                for record in records
                for field in ("value", "low", "high")
            ]
            folder = run.path if run else trial.folder
            writer.writerow(
                [trial.number, folder, told, f"{trial.seconds:.1f}", *values, trial.error]
            )
    return out.getvalue()


def _markdown(tables: list[Comparison], failed: list[GridJob]) -> str:
    from devise_exp.reports.comparison_formats import FORMATS
    from devise_exp.reports.tables import Column, Table, to_markdown

    parts = [FORMATS["markdown"](table) for table in tables]
    if failed:
        rows = [(trial.number, " ".join(trial.overrides), trial.error) for trial in failed]
        columns = tuple(map(Column, ("failed trial", "told", "error")))
        parts.append(to_markdown(Table(columns=columns, rows=tuple(rows))))
    return "\n\n".join(part.strip() for part in parts) + "\n"
