"""The command line: devise-exp show | compare | classes, and those of cli_search and cli_look."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import typer
import yaml
from rich.markdown import Markdown
from rich.table import Table

from devise_exp import cli_look, cli_search
from devise_exp.cli_search import RunArgument, printed

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Read and search the run folders that train.py makes.",
)
COMPARED = {
    "val/hit@1": "val hit@1",
    "seen/hit@1": "seen hit@1",
    "unseen/hit@1/class_mean": "unseen hit@1 per class",
    "unseen/hit@5/class_mean": "unseen hit@5 per class",
    "all/H@1": "H@1",
    "search/unseen/mAP": "unseen search mAP",
}


@app.command()
def show(run: RunArgument) -> None:
    """The table of a run (its report.md)."""
    printed(Markdown(_read(run, "report.md")))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, for example multirun/*/*/*.")],
) -> None:
    """Several runs side by side, in per cent; of runs that differ in the seed alone, their mean."""
    runs = [run for run in runs if not run.is_file()]  # a pattern also finds Hydra's multirun.yaml
    if not runs:
        typer.echo("error: no run folder among these paths", err=True)
        raise typer.Exit(2)
    metrics = [_json(run, "metrics.json") for run in runs]
    settings = [_flat(yaml.safe_load(_read(run, "config.yaml"))) for run in runs]
    different = [key for key in settings[0] if len({str(s.get(key)) for s in settings}) > 1]
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "differs in", *COMPARED.values()):
        table.add_column(heading, justify="left" if heading in ("run", "differs in") else "right")
    columns = [[100 * m[key] if key in m else None for m in metrics] for key in COMPARED]
    for i, (run, own) in enumerate(zip(runs, settings, strict=True)):
        how = " ".join(f"{key}={own.get(key)}" for key in different)
        table.add_row(str(run), how, *(_per_cent(column[i]) for column in columns))
    if different == ["seed"]:
        table.add_section()
        known = [[value for value in column if value is not None] for column in columns]
        means = [f"{mean(c):.1f} ± {stdev(c):.1f}" if len(c) > 1 else "" for c in known]
        table.add_row("mean ± standard deviation", "", *means)
    printed(table)
    if len({m["split/fingerprint"] for m in metrics}) > 1:
        typer.echo(
            "warning: these runs have different splits, so their figures do not compare", err=True
        )


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key; a _target_ goes by its group's key and its own last name."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif key == "_target_":
            flat[prefix.rstrip(".")] = str(value).rsplit(".", 1)[-1]
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _per_cent(share: float | None) -> str:
    return "" if share is None else f"{share:.1f}"


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
for each in (cli_search.tag, cli_search.similar, cli_search.index, cli_look.look, cli_look.app):
    app.command()(each)


if __name__ == "__main__":
    app()
