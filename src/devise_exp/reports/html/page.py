"""The page of a run: report.html, one file that holds its tables, figures and images."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from devise_exp.core.console import printable
from devise_exp.core.files import write_text
from devise_exp.evaluation.protocols import MODEL
from devise_exp.reports import table_views
from devise_exp.reports.comparison import Comparison
from devise_exp.reports.figures import style
from devise_exp.reports.figures.style import Plot
from devise_exp.reports.html.audit_answer import checks_made
from devise_exp.reports.html.class_tables import class_tables
from devise_exp.reports.html.foundations import foundations
from devise_exp.reports.html.metric_tables import metric_tables
from devise_exp.reports.html.run_command import train_command
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.reports.html.split_answer import BEGIN, END, measured, splits_section
from devise_exp.reports.html.terms import training_of
from devise_exp.reports.summary import summary

PAGE = "report.html"
_PARTS = ("data", "backbone", "word_vectors")
_PLAIN_FOLDERS = {"data", "images", "imgs", "train", "training", "test", "val"}  # say nothing


def write_html(run: ShownRun, svg: Callable[[Plot], str] = style.svg_or_nothing) -> Path:
    """Write report.html into a run folder, from the folder's files alone.

    Args:
        run: The run; a section whose files are missing is left out.
        svg: Gives a figure as an <svg> element, "" for none.

    Returns:
        The path of the page.

    Raises:
        InputError: The folder has no metrics, or one of its files is damaged.
    """
    write_text(run.path / PAGE, page(run, svg))
    return run.path / PAGE


def refresh_splits(path: Path, table: Comparison) -> None:
    """Show in the page of a run what its series has measured over splits.

    Args:
        path: The run folder; nothing happens without a page, or to one of an earlier version.
        table: The table over splits.
    """
    file = path / PAGE
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        write_text(file, f"{before}{splits_section(table)}{after}")


def page(run: ShownRun, svg: Callable[[Plot], str] = style.svg_or_nothing) -> str:
    """Make the page of a run.

    Args:
        run: The run.
        svg: As of `write_html`.

    Returns:
        HTML: no script, no request, all text of the run escaped.
    """
    from jinja2 import Environment

    source = files("devise_exp.reports.html").joinpath("assets/report.html.jinja")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        **_content(run),
        plots=run.plots,
        narrow_plots=run.narrow_plots,
        svg=lambda plot: Markup(svg(plot)),
        to_html=table_views.to_html,
    )


def _content(run: ShownRun) -> dict[str, Any]:
    """All but figures, as tables and values for the template."""
    about, config = run.details.about, run.path / "config.yaml"
    return {
        "title": f"{_data_name(run)}: zero-shot recognition",
        "parts": ", ".join(str(about[key]) for key in _PARTS if key in about) or "A run",
        "summary": summary(run.results, run.report.n),
        "checks_made": checks_made(about),
        "steps_of_methods": training_of(run.results.methods, bool(about.get("rehearsals"))),
        "run": printable(run.path.name),
        "model": MODEL,
        "about": about,
        "command": train_command(run.command) if run.command else "",
        "skipped": run.details.skipped,
        "copies": run.details.copies,
        "foundations": foundations(run),
        "splits_section": splits_section(measured(run.path)),
        "config": config.read_text(encoding="utf-8") if config.is_file() else "",
        **metric_tables(run),
        **class_tables(run),
    }


def _data_name(run: ShownRun) -> str:
    """The folder of the images, without where it is; else the name of the data set."""
    root = run.results.settings.get("data.root")
    parts = [part for part in Path(str(root)).parts if part not in ("/", ".", "..", "~")]
    if root is None or not parts:
        return str(run.details.about.get("data", "a run"))
    if parts[-1].lower() in _PLAIN_FOLDERS and len(parts) > 1:
        return printable("/".join(parts[-2:]))
    return printable(parts[-1])
