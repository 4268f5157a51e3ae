"""devise-exp train and evaluate hand their arguments to Hydra."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from devise_exp.ui.cli.main import app


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["devise-exp"])  # put back at the end


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "loss=nosuch"), "error: loss=nosuch: no such option"),
        (("train", "-m", "loss=nosuch"), "error: loss=nosuch: no such option"),
        (("evaluate",), "error: run_dir is needed: add run_dir=... to the command"),
        (("evaluate", "run_dir=nowhere"), "error: nowhere: not a run folder"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str
) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_options_are_those_of_hydra() -> None:
    result = CliRunner().invoke(app, ["train", "--cfg", "job", "--package", "trainer"])
    assert "max_epochs: null" in result.output
    assert sys.argv[1:] == ["--cfg", "job", "--package", "trainer"]
