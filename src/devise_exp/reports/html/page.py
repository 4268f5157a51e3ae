"""A run's page: report.html, one self-contained file with its tables, figures and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from devise_exp.core.console import printable
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.evaluation.protocols import MODEL
from devise_exp.evaluation.records import MetricName, flatten
from devise_exp.reports.comparison import of_methods
from devise_exp.reports.figures import plots, style
from devise_exp.reports.figures.class_plot import class_plot
from devise_exp.reports.figures.plots import hit_curves
from devise_exp.reports.figures.style import Plot
from devise_exp.reports.html import confusions as confusions_module
from devise_exp.reports.html import sections
from devise_exp.reports.html.sections import headline_numbers, method_table
from devise_exp.runs import results
from devise_exp.runs.files import read_rows
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import RunResults

PAGE = "report.html"
_CURVES = ("seen", "unseen", "all_seen", "all_unseen", "calibrated_seen", "calibrated_unseen")
_SIMILARITIES = ("seen", "unseen", "all_seen", "all_unseen")
_TITLE = ("data", "backbone", "word_vectors")


def write_html(folder: Path) -> Path:
    """Make report.html in a run folder, of its files alone; a section whose files are not there is
    left out.

    InputError where the folder has no figures, or a file is damaged.
    """
    text = page(folder)
    with atomic_path(folder / PAGE) as made:
        made.write_text(text, encoding="utf-8")
    return folder / PAGE


def page(folder: Path) -> str:
    """The page's HTML: no script, no request, all text of the run escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    source = (
        files("devise_exp.reports.html")
        .joinpath("assets/report.html.jinja")
        .read_text(encoding="utf-8")
    )
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["per_cent"] = lambda share: sections.cell(share)["shown"]
    environment.filters["heading"] = sections.heading
    environment.filters["whole"] = lambda share: "" if share is None else f"{100 * share:.0f}"
    content = _content(folder)
    drawn = {plot.name: plot for plot in plots_of(folder)}
    return environment.from_string(source).render(
        **content, plots=drawn, svg=lambda plot: Markup(style.to_svg(plot))
    )


def plots_of(folder: Path) -> list[Plot]:
    """The figures that the folder's files allow."""
    run = results.read(folder)
    methods = run.methods
    drawn: list[Plot] = []
    if records := _table(folder, "results.csv"):
        with _telling(folder / "results.csv"):
            curves = sections.curves(records)
        panels = {sections.heading(p): curves[p] for p in _CURVES if p in curves}
        if panels:
            drawn.append(hit_curves(panels, methods))
    found = _printable(RunFolder(folder).diagnostics())
    if found:
        with _telling(folder / "diagnostics.json"):
            drawn += _diagnosed(run, found, methods)
    return drawn


def _diagnosed(run: RunResults, found: Mapping[str, Any], methods: Sequence[str]) -> list[Plot]:
    drawn = []
    if curves := found.get("tradeoff", {}):
        plain = {}
        for method in curves:
            names = (MetricName(f"all_{side}", "hit", 1, "class") for side in ("unseen", "seen"))
            unseen, seen = (run.value(method, name) for name in names)
            if unseen is not None and seen is not None:
                plain[method] = (unseen, seen)
        drawn.append(plots.tradeoff(curves, plain, methods))
    if found.get("map", {}).get("classes"):
        drawn.append(class_plot(found["map"]))
    if similarity := {
        sections.heading(p): found["similarity"][p]
        for p in _SIMILARITIES
        if p in found.get("similarity", {})
    }:
        drawn.append(plots.similarity(similarity))
    return drawn


def _content(folder: Path) -> dict[str, Any]:
    """All but the figures, as plain values."""
    run, place = results.read(folder), RunFolder(folder)
    about, classes = {}, []
    if (folder / "about.json").is_file():
        about = _printable(place.details().to_json())
    if (folder / "classes.json").is_file():
        classes = _printable([record.to_json() for record in place.classes()])
    found = _printable(place.diagnostics())
    table = of_methods([run])
    with _telling(folder / "about.json"):
        facts = about.get("about", {})
        audit = sections.audit(classes, about) if classes and about else []
    with _telling(folder / "results.csv"):
        hits = sections.hits(_table(folder, "results.csv"))
    with _telling(folder / "search.csv"):
        searches = sections.searches(_table(folder, "search.csv"))
    with _telling(folder / "diagnostics.json"):
        confusions = confusions_module.confusions(place, found.get("confusions", {}))
    config = folder / "config.yaml"
    return {
        "title": ", ".join(str(facts[key]) for key in _TITLE if key in facts) or "a run",
        "run": printable(folder.name),
        "model": MODEL,
        "facts": facts | flatten(r for r in run.records if r.protocol == "index"),
        "skipped": about.get("skipped", []),
        "tiles": headline_numbers(table, run),
        "together": method_table(table),
        "hits": hits,
        "hierarchical": sections.hierarchical(run),
        "searches": searches,
        "classes": found.get("classes", []),
        "found": found,
        "confusions": confusions,
        "hubness": found.get("hubness", {}),
        "audit": audit,
        "words": classes,
        "config": config.read_text(encoding="utf-8") if config.is_file() else "",
    }


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {printable(key): _printable(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_printable(own) for own in value]
    return printable(value) if isinstance(value, str) else value


def _table(folder: Path, name: str) -> list[dict[str, str]]:
    return [_printable(row) for row in read_rows(folder, name)]


@contextmanager
def _telling(file: Path) -> Iterator[None]:
    """InputError for a file that cannot be what the run wrote."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{file}: damaged: evaluate or train the run again") from error
