"""The command line: devise-exp COMMAND, each a plain function of a module beside this one."""

from __future__ import annotations

from typing import Annotated

import typer

from devise_exp import __version__
from devise_exp.core.console import print_file
from devise_exp.ui.cli import export, hydra_commands, images, runs, search, sweep, tag
from devise_exp.ui.cli.one_line_group import OneLineGroup
from devise_exp.ui.cli.query_command import QueryCommand

app = typer.Typer(
    cls=OneLineGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train, evaluate, compare and search runs (devise-exp COMMAND --help).",
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print_file(f"devise-exp {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


for hydra_command in (hydra_commands.train, hydra_commands.evaluate):
    app.command(context_settings=hydra_commands.SETTINGS, add_help_option=False)(hydra_command)
for text_command in (search.search, search.words):
    app.command(cls=QueryCommand)(text_command)
for plain_command in (
    sweep.sweep,
    images.look,
    runs.show,
    runs.classes,
    runs.compare,
    tag.tag,
    search.similar,
    search.index,
    export.export,
    images.app,
):
    app.command()(plain_command)
