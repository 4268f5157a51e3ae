"""Runs in W&B: their settings, metrics, tables, figures and page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devise_exp.core.errors import InputError
from devise_exp.core.light_packages import lighten_wandb, wandb_without_pandas
from devise_exp.evaluation.evaluator import EvalReport
from devise_exp.evaluation.records import flatten
from devise_exp.reports.comparison_formats import to_table
from devise_exp.reports.hierarchical_rows import left_out, without_thin
from devise_exp.reports.html.page import PAGE
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.run_tables import controls, hit_records

_FINISH_SECONDS, _FINISH_SECONDS_ONLINE = 60.0, 600.0


def check_wandb(offline: bool) -> None:
    """Check that a run can log to W&B without asking a person.

    Args:
        offline: Whether the run stays on this machine.

    Raises:
        InputError: The run is online and this machine has no W&B account.
    """
    import wandb

    if not offline and not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        raise InputError(
            "logger.offline=false needs a W&B account: run `wandb login` or set WANDB_API_KEY, or "
            "leave logger.offline=true and `wandb sync` the run later"
        )


def logger_options(
    folder: Path, *, offline: bool, group: str | None = None, grid: Path | None = None
) -> dict[str, Any]:
    """Keyword arguments of Lightning's WandbLogger for one run.

    No group travels in the environment: W&B reads that once a process, so a second grid would get
    the group of the first. An offline run sends W&B no reports on its own errors either, unless
    WANDB_ERROR_REPORTING asks for them, and the end of a run waits for W&B no longer than
    WANDB_FINISH_TIMEOUT, or else a minute, online ten.

    Args:
        folder: The run folder; it names the run and keeps its files.
        offline: Keep the run on this machine.
        group: The configured group; None for that of the grid.
        grid: The folder of the grid that the run is a job of, None for a single run.

    Returns:
        The arguments `save_dir`, `name`, `offline`, `mode`, `group` and `settings`. WANDB_RUN_GROUP
        and WANDB_SILENT, if a person sets them, are stronger than the grid and the silence.
    """
    import wandb

    lighten_wandb()
    if offline:  # read before W&B's service starts; its thread would ask the network
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    silent = wandb.Settings() if "WANDB_SILENT" in os.environ else wandb.Settings(silent=True)
    if "WANDB_FINISH_TIMEOUT" not in os.environ:
        silent.finish_timeout = _FINISH_SECONDS if offline else _FINISH_SECONDS_ONLINE
    wandb.setup(silent)  # for messages that come before the run has its settings
    if group is None and grid is not None and "WANDB_RUN_GROUP" not in os.environ:
        group = f"{grid.parent.name} {grid.name}".strip()
    return {
        "save_dir": folder,
        "name": folder.name,
        "offline": False,  # Lightning would set WANDB_MODE for the whole process
        "mode": "offline" if offline else "online",
        "group": group,
        "settings": silent,
    }


def log_run(logger: Any, report: EvalReport, run: ShownRun) -> None:
    """Log the metrics, figures, tables and page of a run that is finished.

    Args:
        logger: Lightning's WandbLogger, None if it has failed.
        report: The metrics of the run.
        run: The run.
    """
    if logger is not None:
        with wandb_without_pandas():
            log_to_wandb(logger, report, run.path)
            log_curves(logger.experiment, run)


def log_to_wandb(logger: Any, report: EvalReport, folder: Path) -> None:
    """Log hit@k as a table, and all metrics as the summary of the W&B run.

    Args:
        logger: Lightning's WandbLogger.
        report: The metrics of the run.
        folder: The run folder, which the summary names.
    """
    run = logger.experiment
    records = hit_records(report)
    cells = [[record[name] for name in records[0]] for record in records]
    run.log({"results": _table([*records[0]], cells)})
    shown = flatten(without_thin(report.records))
    thin = {"hierarchy/left_out": line} if (line := left_out(report.records)) else {}
    about = {**report.about, **controls(report), "run_folder": str(folder)}
    run.summary.update({**about, **shown, **thin})


_CLASS_COLUMNS = (
    *("name", "seen", "words", "images", "hit@1", "hit@5", "all_hit@1", "calibrated_hit@1"),
    "leak",
)


def log_curves(logger: Any, run: ShownRun) -> None:
    """Log the figures, tables and page of a run folder, as one step.

    The figures are plots/NAME; methods and classes are tables; report is report.html.

    Args:
        logger: An active wandb.Run; images of an offline one lie inside its folder.
        run: The run.
    """
    import wandb

    content: dict[str, Any] = {
        f"plots/{name}": wandb.Image(image, caption=run.plots[name].title)
        for name, image in run.images.items()
    }
    table = to_table(run.comparison)
    rows = [["" if cell is None else str(cell) for cell in row] for row in table.rows]
    content["methods"] = _table([*table.headings], rows)
    if classes := run.diagnostics.get("classes"):
        data = [[entry[column] for column in _CLASS_COLUMNS] for entry in classes]
        content["classes"] = _table([*_CLASS_COLUMNS], data)
    page = run.path / PAGE
    if page.is_file():  # not with report=none
        content["report"] = wandb.Html(page.read_text(encoding="utf-8"), inject=False)
    logger.log(content)


def _table(columns: list[str | int], rows: Sequence[Sequence[Any]]) -> Any:
    """A wandb.Table; given all rows at once, W&B would import pandas to see what they are."""
    import wandb

    table = wandb.Table(columns=columns)
    for row in rows:
        table.add_data(*row)
    return table
