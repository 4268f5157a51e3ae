"""A run's page, figures and tables in W&B."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from devise_exp import drawing, html_report
from devise_exp.comparison import of_methods
from devise_exp.comparison_text import text_of
from devise_exp.run_figures import read

_CLASS_COLUMNS = (
    *("name", "seen", "words", "images", "hit@1", "hit@5", "all_hit@1", "calibrated_hit@1"),
    "leak",
)


def log_curves(run: Any, folder: Path) -> None:
    """Log what a run folder tells into a W&B run, as one step: each figure as a picture
    (plots/NAME), the methods and the classes as tables, and report.html.

    run: an active wandb.Run. Where it is offline, pictures lie inside its folder.
    """
    import wandb

    found: dict[str, Any] = {
        f"plots/{plot.name}": wandb.Image(drawing.picture(plot), caption=plot.title)
        for plot in html_report.plots_of(folder)
    }
    table = of_methods([read(folder)])
    rows = [[*line.names, *map(text_of, line.cells)] for line in table.lines]
    found["methods"] = wandb.Table(columns=[*table.heads, *table.columns.values()], data=rows)
    diagnostics = folder / "diagnostics.json"
    if diagnostics.is_file():
        classes = json.loads(diagnostics.read_text(encoding="utf-8"))["classes"]
        data = [[entry[column] for column in _CLASS_COLUMNS] for entry in classes]
        found["classes"] = wandb.Table(columns=list(_CLASS_COLUMNS), data=data)
    page = folder / html_report.PAGE
    found["report"] = wandb.Html(page.read_text(encoding="utf-8"), inject=False)
    run.log(found)
