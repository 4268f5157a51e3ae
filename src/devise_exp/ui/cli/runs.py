"""The commands that read finished runs: devise-exp show | classes | compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown
from rich.table import Table

from devise_exp.core.command import command
from devise_exp.core.console import print_content, print_error
from devise_exp.core.errors import InputError
from devise_exp.ui.cli.search import RunArgument


def show(run: RunArgument) -> None:
    """The table of a run (its report.md)."""
    print_content(Markdown(_read(run, "report.md")), width=200)


def classes(run: RunArgument) -> None:
    """How each class of a run got its word vector, and which unseen classes the backbone knew."""
    entries: list[dict[str, Any]] = _json(run, "classes.json")
    overlaps: dict[str, list[str]] = {}
    for overlap in _json(run, "about.json")["leaks"]:
        overlaps.setdefault(overlap["name"], []).append(
            f"{overlap['relation']} {overlap['category']}"
        )
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "", "words", "how", "known to the pretraining"):
        table.add_column(heading)
    for entry in sorted(entries, key=lambda entry: entry["seen"]):
        known = "; ".join(overlaps.get(entry["name"], [])[:3])
        side = "seen" if entry["seen"] else "unseen"
        table.add_row(entry["name"], side, " ".join(entry["words"]), entry["how"], known)
    print_content(table)


def _read(run: Path, name: str) -> str:
    try:
        return (run / name).read_text(encoding="utf-8")
    except OSError:
        print_error(f"{run}: no finished run folder (it has no {name})")
        raise typer.Exit(2) from None


def _json(run: Path, name: str) -> Any:
    try:
        return json.loads(_read(run, name))
    except ValueError:
        print_error(f"{run / name}: damaged: train the run again")
        raise typer.Exit(2) from None


FORMAT_OF = {".csv": "csv", ".md": "markdown", ".tex": "latex", ".html": "html"}


@command
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders, for example multirun/*/*/*.", metavar="RUN..."),
    ],
    methods: Annotated[
        bool, typer.Option("--methods", help="A line for each method within the runs too.")
    ] = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Text instead of the table; by the ending of --out unless given.",
            metavar="csv|markdown|latex|html",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file to write.")] = None,
) -> None:
    """Runs of one split side by side, in per cent; those that differ in the seed alone are one
    line, mean ± standard deviation.
    """
    form = form or (FORMAT_OF.get(out.suffix) if out else None)
    if form not in (*FORMAT_OF.values(), None) or (out and form is None):
        asked = f"--format {form}" if form else f"--out {out}"
        raise InputError(
            f"{asked}: give --format {' or '.join(FORMAT_OF.values())}, or an --out file that ends "
            f"in {' '.join(FORMAT_OF)}"
        )
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(
            f"{out}: there is no folder {out.parent}: make it, or choose another --out"
        )
    from devise_exp.core.files import atomic_path
    from devise_exp.reports import comparison
    from devise_exp.reports.comparison_formats import FORMATS, rich_table
    from devise_exp.runs.results import runs_in

    table = comparison.compare(runs_in(runs), methods)
    if form is None:
        print_content(rich_table(table))
        return
    text = FORMATS[form](table)
    if out is None:
        typer.echo(text, nl=False)  # the content of a file, to the byte
        return
    try:
        with atomic_path(out) as made:
            made.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{out}: {error.strerror or error}: choose another --out") from error
    print_content(str(out))
