"""The jobs of a grid, and its tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devise_exp.core.console import format_error, notify, printable
from devise_exp.core.files import write_text
from devise_exp.pipelines.outputs import NOTE, TRACEBACK

if TYPE_CHECKING:
    from devise_exp.reports.comparison import Comparison, Line
    from devise_exp.runs.results import RunResults


@dataclass(frozen=True, kw_only=True)
class GridJob:
    """One job of a grid, as its folder has it.

    Attributes:
        folder: Of the job.
        number: In the grid.
        overrides: What it was given.
        seconds: How long it took.
        error: In one line; "" if there is none.
    """

    folder: Path
    number: int
    overrides: tuple[str, ...]
    seconds: float
    error: str


def write_tables(folder: Path, jobs: list[GridJob], failed: list[GridJob]) -> None:
    """Write the tables of a grid, then print them.

    Args:
        folder: Of the grid, where trials.csv and trials.md go.
        jobs: Its jobs.
        failed: Those with an error.
    """
    from devise_exp.core.console import print_content  # late: a mistyped option need not wait
    from devise_exp.reports.comparison_formats import rich_table

    tables = tables_of(jobs)
    write_text(folder / "trials.csv", _csv(jobs))
    write_text(folder / "trials.md", _markdown(tables, failed))
    for table in tables:
        print_content(rich_table(table))
    for job in failed:
        file = job.folder / TRACEBACK
        more = f": {file}" if file.is_file() else ""
        notify(f"failed: job {job.number} ({' '.join(job.overrides)}): {job.error}{more}")
    notify(f"{len(jobs)} jobs, {len(failed)} failed: {folder} (trials.md, trials.csv)")


def jobs_in(folder: Path) -> list[GridJob]:
    """Read the jobs that have ended; one whose note cannot be read counts as failed.

    Args:
        folder: Of the grid.

    Returns:
        The jobs, by number.
    """
    return sorted(map(_job, folder.glob(f"*/{NOTE}")), key=lambda job: job.number)


def _job(file: Path) -> GridJob:
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        overrides, seconds = tuple(map(str, note["overrides"])), float(note["seconds"])
        return GridJob(
            folder=file.parent,
            number=int(note["number"]),
            overrides=overrides,
            seconds=seconds,
            error=str(note["error"]),
        )
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        return _failed_job(file.parent, f"{NOTE} cannot be read ({format_error(error)})")


def _failed_job(folder: Path, error: str) -> GridJob:
    """A job of which only its folder is known."""
    number = int(folder.name) if folder.name.isdecimal() else -1
    return GridJob(folder=folder, number=number, overrides=(), seconds=0.0, error=error)


def tables_of(jobs: list[GridJob]) -> list[Comparison]:
    """Compare the finished runs of a grid.

    Args:
        jobs: Its jobs.

    Returns:
        A table for each split, or for the same splits of several series, the best run by seen
        validation images first.
    """
    from devise_exp.reports import comparison
    from devise_exp.runs.results import runs_in

    by_splits: dict[frozenset[str], list[RunResults]] = {}
    for job in jobs:
        if not job.error:
            runs = runs_in([job.folder], several_splits=True)
            by_splits.setdefault(frozenset(run.fingerprint for run in runs), []).extend(runs)
    return [_sorted(comparison.compare(runs)) for runs in by_splits.values()]


def _sorted(table: Comparison) -> Comparison:
    def worth(line: Line) -> float:
        return line.cells[0].value if line.cells[0] else -1.0

    return replace(table, lines=tuple(sorted(table.lines, key=worth, reverse=True)))


def _csv(jobs: list[GridJob]) -> str:
    """A row per run: the job, its overrides, its metrics with their intervals, its error."""
    from devise_exp.evaluation.protocols import MODEL
    from devise_exp.reports.comparison import COMPARED
    from devise_exp.reports.tables import Column, Table, to_csv
    from devise_exp.runs.results import runs_in

    rows: list[tuple[Any, ...]] = []
    keys = [f"{name.key}{end}" for name in COMPARED for end in ("", "/lo", "/hi")]
    for job in jobs:
        overrides = printable(" ".join(job.overrides))
        runs: list[RunResults | None] = [None]
        if not job.error:
            runs = [*runs_in([job.folder], several_splits=True)]
        for run in runs:
            records = [run.record(MODEL, name) if run else None for name in COMPARED]
            values = [
                getattr(record, field, "")
                for record in records
                for field in ("value", "low", "high")
            ]
            folder = run.path if run else job.folder
            seconds = f"{job.seconds:.1f}"
            rows.append((job.number, folder, overrides, seconds, *values, job.error))
    headings = ("trial", "folder", "overrides", "seconds", *keys, "error")
    return to_csv(Table(columns=tuple(map(Column, headings)), rows=tuple(rows)))


def _markdown(tables: list[Comparison], failed: list[GridJob]) -> str:
    from devise_exp.reports.comparison_formats import FORMATS
    from devise_exp.reports.tables import Column, Table, to_markdown

    parts = [FORMATS["markdown"](table) for table in tables]
    if failed:
        rows = [(job.number, " ".join(job.overrides), job.error) for job in failed]
        columns = tuple(map(Column, ("failed job", "overrides", "error")))
        parts.append(to_markdown(Table(columns=columns, rows=tuple(rows))))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def lost_jobs(folder: Path, began: float) -> list[GridJob]:
    """Find the jobs that left no note.

    Args:
        folder: Of the grid.
        began: When it began; older folders are of an earlier grid.

    Returns:
        The jobs, each with an error.
    """
    paths = [
        path
        for path in folder.iterdir()
        if path.name.isdecimal() and not (path / NOTE).exists() and path.stat().st_mtime >= began
    ]
    error = f"it left no {NOTE}: it was killed, or its folder cannot be written"
    return [_failed_job(path, error) for path in sorted(paths)]
