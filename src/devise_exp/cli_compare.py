"""The command that puts finished runs side by side: devise-exp compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from devise_exp.cli_search import printed
from devise_exp.errors import InputError, command

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
    from devise_exp import comparison, comparison_text
    from devise_exp.run_figures import runs_in
    from devise_exp.storage import replacing

    table = comparison.compare(runs_in(runs), methods)
    if form is None:
        printed(comparison_text.rich_table(table))
        return
    text = comparison_text.FORMATS[form](table)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        with replacing(out) as made:
            made.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{out}: {error.strerror or error}: choose another --out") from error
    typer.echo(out)
