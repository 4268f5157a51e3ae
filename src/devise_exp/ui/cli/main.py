"""The command line: devise-exp COMMAND, each a plain function of a module beside this one."""

from __future__ import annotations

import typer

from devise_exp.ui.cli import images, runs, search, sweep
from devise_exp.ui.cli.search import QueryCommand

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Read and search the run folders that train.py makes.",
)


app.command(cls=QueryCommand)(search.search)
app.command(cls=QueryCommand)(search.words)
for each in (
    runs.show,
    runs.classes,
    runs.compare,
    search.tag,
    search.similar,
    search.index,
    images.look,
    images.app,
    sweep.sweep,
):
    app.command()(each)


if __name__ == "__main__":
    app()
