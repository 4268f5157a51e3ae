"""The page of a run: report.html, one file that holds its tables, figures and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from devise_exp.core.console import printable
from devise_exp.core.files import write_text
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName, flatten
from devise_exp.reports import table_views
from devise_exp.reports.comparison import of_methods
from devise_exp.reports.figures import plots, style
from devise_exp.reports.figures.class_plot import class_plot
from devise_exp.reports.figures.plots import hit_curves
from devise_exp.reports.figures.style import Plot
from devise_exp.reports.html import class_tables, sections
from devise_exp.reports.html.confusions import confusions
from devise_exp.reports.html.sections import headline_numbers, method_table
from devise_exp.reports.titles import protocol_title
from devise_exp.runs import results
from devise_exp.runs.files import read_rows, reading
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.records import ClassRecord, RunDetails
from devise_exp.runs.results import RunResults

PAGE = "report.html"
_CURVES = ("seen", "unseen", "all_seen", "all_unseen", "calibrated_seen", "calibrated_unseen")
_SIMILARITIES = ("seen", "unseen", "all_seen", "all_unseen")
_TITLE = ("data", "backbone", "word_vectors")


def write_html(folder: Path) -> Path:
    """Write report.html into a run folder, from the folder's files alone.

    Args:
        folder: The run folder; a section whose files are missing is left out.

    Returns:
        The path of the page.

    Raises:
        InputError: The folder has no metrics, or one of its files is damaged.
    """
    write_text(folder / PAGE, page(folder))
    return folder / PAGE


def page(folder: Path) -> str:
    """Make the page of a run.

    Args:
        folder: The run folder.

    Returns:
        HTML: no script, no request, all text of the run escaped.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    source = (
        files("devise_exp.reports.html")
        .joinpath("assets/report.html.jinja")
        .read_text(encoding="utf-8")
    )
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    content = _content(folder)
    drawn = {plot.name: plot for plot in plots_of(folder)}
    return environment.from_string(source).render(
        **content,
        plots=drawn,
        svg=lambda plot: Markup(style.to_svg(plot)),
        to_html=table_views.to_html,
    )


def plots_of(folder: Path) -> list[Plot]:
    """Draw the figures of a run.

    Args:
        folder: The run folder.

    Returns:
        The figures that its files allow.
    """
    run = results.read(folder)
    methods = run.methods
    drawn: list[Plot] = []
    if records := _table(folder, "results.csv"):
        with _reading(folder, "results.csv"):
            curves = sections.curves(records)
        panels = {protocol_title(p): curves[p] for p in _CURVES if p in curves}
        if panels:
            drawn.append(hit_curves(panels, methods))
    if diagnostics := _printable(RunFolder(folder).diagnostics()):
        with _reading(folder, "diagnostics.json"):
            drawn += _diagnostic_plots(run, diagnostics, methods)
    return drawn


def _diagnostic_plots(
    run: RunResults, diagnostics: Mapping[str, Any], methods: Sequence[str]
) -> list[Plot]:
    """Draw the figures of diagnostics.json."""
    drawn = []
    if curves := diagnostics.get("tradeoff", {}):
        uncalibrated = {}
        for method in curves:
            names = (MetricName(f"all_{side}", "hit", 1, "class") for side in ("unseen", "seen"))
            unseen, seen = (run.value(method, name) for name in names)
            if unseen is not None and seen is not None:
                uncalibrated[method] = (unseen, seen)
        drawn.append(plots.tradeoff(curves, uncalibrated, methods))
    if diagnostics.get("map", {}).get("classes"):
        drawn.append(class_plot(diagnostics["map"]))
    if similarity := {
        protocol_title(p): diagnostics["similarity"][p]
        for p in _SIMILARITIES
        if p in diagnostics.get("similarity", {})
    }:
        drawn.append(plots.similarity(similarity))
    return drawn


def _content(folder: Path) -> dict[str, Any]:
    """Everything but the figures, as tables and values for the template."""
    run, run_folder = results.read(folder), RunFolder(folder)
    details, records = RunDetails({}), list[ClassRecord]()
    if (folder / "about.json").is_file():
        details = RunDetails.from_json(_printable(run_folder.details().to_json()))
    if (folder / "classes.json").is_file():
        saved = [_printable(record.to_json()) for record in run_folder.classes()]
        records = [ClassRecord.from_json(entry) for entry in saved]
    comparison, about = of_methods([run]), details.about
    index = flatten(r for r in run.records if r.protocol == "index")
    with _reading(folder, "results.csv"):
        hits = sections.hits(_table(folder, "results.csv"))
    with _reading(folder, "search.csv"):
        searches = sections.searches(_table(folder, "search.csv"))
    config = folder / "config.yaml"
    return {
        "title": ", ".join(str(about[key]) for key in _TITLE if key in about) or "a run",
        "run": printable(folder.name),
        "model": MODEL,
        "about": about,
        "facts": class_tables.facts(about | index),
        "skipped": details.skipped,
        "tiles": headline_numbers(comparison, run),
        "methods": method_table(comparison),
        "hits": hits,
        "hierarchical": sections.hierarchical(run),
        "searches": searches,
        "audit": class_tables.audit(records, details) if records and about else None,
        "words": class_tables.words(records) if records else None,
        "config": config.read_text(encoding="utf-8") if config.is_file() else "",
        **_diagnostic_tables(run_folder, class_tables.verdicts(records, details) if about else {}),
    }


def _diagnostic_tables(run: RunFolder, verdicts: Mapping[str, str]) -> dict[str, Any]:
    """The tables of diagnostics.json."""
    diagnostics = _printable(run.diagnostics())
    with _reading(run.path, "diagnostics.json"):
        return {
            "tradeoff": class_tables.tradeoff(diagnostics.get("tradeoff", {})),
            "classes": class_tables.classes(diagnostics.get("classes", ()), verdicts),
            "confusions": confusions(run, diagnostics.get("confusions", {})),
            "plane": class_tables.plane(diagnostics.get("map", {}).get("classes", ())),
            "hubs": class_tables.hubs(diagnostics.get("hubness", {})),
            "similarity": class_tables.similarity(diagnostics.get("similarity", {})),
        }


_reading = partial(reading, remedy="evaluate or train the run again", missing_ok=True)


def _printable(value: Any) -> Any:
    """Make every text in a value of JSON printable."""
    if isinstance(value, dict):
        return {printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return printable(value) if isinstance(value, str) else value


def _table(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of a CSV file, none if there is no file."""
    return [_printable(row) for row in read_rows(folder, name)]
