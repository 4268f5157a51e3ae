"""The page of a run: report.html, one file that holds its tables, figures and images."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from devise_exp.core.console import printable
from devise_exp.core.files import write_text
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import flatten
from devise_exp.reports import table_views
from devise_exp.reports.comparison_formats import to_table
from devise_exp.reports.figures import style
from devise_exp.reports.html import class_tables, sections
from devise_exp.reports.html.confusions import confusions
from devise_exp.reports.html.shown_run import ShownRun, reading

PAGE = "report.html"
_TITLE = ("data", "backbone", "word_vectors")


def write_html(run: ShownRun) -> Path:
    """Write report.html into a run folder, from the folder's files alone.

    Args:
        run: The run; a section whose files are missing is left out.

    Returns:
        The path of the page.

    Raises:
        InputError: The folder has no metrics, or one of its files is damaged.
    """
    write_text(run.path / PAGE, page(run))
    return run.path / PAGE


def page(run: ShownRun) -> str:
    """Make the page of a run.

    Args:
        run: The run.

    Returns:
        HTML: no script, no request, all text of the run escaped.
    """
    from jinja2 import Environment

    source = files("devise_exp.reports.html").joinpath("assets/report.html.jinja")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        **_content(run),
        **_diagnostic_tables(run),
        plots=run.plots,
        svg=lambda plot: Markup(style.to_svg(plot)),
        to_html=table_views.to_html,
    )


def _content(run: ShownRun) -> dict[str, Any]:
    """All but figures and diagnostics, as tables and values for the template."""
    about, records = run.details.about, run.classes
    index = flatten(r for r in run.results.records if r.protocol == "index")
    config = run.path / "config.yaml"
    return {
        "title": ", ".join(str(about[key]) for key in _TITLE if key in about) or "a run",
        "run": printable(run.path.name),
        "model": MODEL,
        "about": about,
        "facts": class_tables.facts(about | index),
        "skipped": run.details.skipped,
        "tiles": sections.headline_numbers(run.comparison, run.results),
        "methods": replace(to_table(run.comparison, intervals=True), note=""),
        "hits": sections.hits(run.report),
        "hierarchical": sections.hierarchical(run.results),
        "searches": sections.searches(run.report),
        "audit": class_tables.audit(records, run.details) if records and about else None,
        "words": class_tables.words(records) if records else None,
        "config": config.read_text(encoding="utf-8") if config.is_file() else "",
    }


def _diagnostic_tables(run: ShownRun) -> dict[str, Any]:
    """The tables of diagnostics.json."""
    diagnostics, about = run.diagnostics, run.details.about
    verdicts = class_tables.verdicts(run.classes, run.details) if about else {}
    with reading(run.path, "diagnostics.json"):
        return {
            "tradeoff": class_tables.tradeoff(diagnostics.get("tradeoff", {})),
            "classes": class_tables.classes(diagnostics.get("classes", ()), verdicts),
            "confusions": confusions(run.folder, diagnostics.get("confusions", {})),
            "plane": class_tables.plane(diagnostics.get("map", {}).get("classes", ())),
            "hubs": class_tables.hubs(diagnostics.get("hubness", {})),
            "similarity": class_tables.similarity(diagnostics.get("similarity", {})),
        }
