"""A query may begin with a minus."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from devise_exp.ui.cli.query_command import QueryCommand


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "-grass horse", "-k", "3"), "-grass horse 3"),
        (("run", "-k3", "horse"), "horse 3"),
        (("run", "-k", "3", "--", "-grass"), "-grass 3"),
    ],
)
def test_words_with_a_minus_are_no_options(arguments: tuple[str, ...], expected: str) -> None:
    app = typer.Typer()

    @app.command(cls=QueryCommand)
    def ask(run: str, text: str, k: Annotated[int, typer.Option("-k")] = 1) -> None:
        typer.echo(f"{text} {k}")

    result = CliRunner().invoke(app, arguments)
    assert result.output.strip() == expected
