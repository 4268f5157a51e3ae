"""The command line: devise-exp show | classes, and those of the other cli_ modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.markdown import Markdown
from rich.table import Table

from devise_exp import cli_compare, cli_look, cli_search, cli_sweep
from devise_exp.cli_search import RunArgument, printed

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Read and search the run folders that train.py makes.",
)


@app.command()
def show(run: RunArgument) -> None:
    """The table of a run (its report.md)."""
    printed(Markdown(_read(run, "report.md")))


@app.command()
def classes(run: RunArgument) -> None:
    """How each class of a run got its word vector, and which unseen classes the backbone knew."""
    entries: list[dict[str, Any]] = _json(run, "classes.json")
    leaks: dict[str, list[str]] = {}
    for leak in _json(run, "about.json")["leaks"]:
        leaks.setdefault(leak["name"], []).append(f"{leak['relation']} {leak['category']}")
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "", "words", "how", "known to the pretraining"):
        table.add_column(heading)
    for entry in sorted(entries, key=lambda entry: entry["seen"]):
        known = "; ".join(leaks.get(entry["name"], [])[:3])
        side = "seen" if entry["seen"] else "unseen"
        table.add_row(entry["name"], side, " ".join(entry["words"]), entry["how"], known)
    printed(table)


def _read(run: Path, name: str) -> str:
    try:
        return (run / name).read_text(encoding="utf-8")
    except OSError:
        typer.echo(f"error: {run}: no finished run folder (it has no {name})", err=True)
        raise typer.Exit(2) from None


def _json(run: Path, name: str) -> Any:
    try:
        return json.loads(_read(run, name))
    except ValueError:
        typer.echo(f"error: {run / name}: damaged: train the run again", err=True)
        raise typer.Exit(2) from None


app.command(cls=cli_search.QueryCommand)(cli_search.search)
app.command(cls=cli_search.QueryCommand)(cli_search.words)
for each in (
    cli_compare.compare,
    cli_search.tag,
    cli_search.similar,
    cli_search.index,
    cli_look.look,
    cli_look.app,
    cli_sweep.sweep,
):
    app.command()(each)


if __name__ == "__main__":
    app()
