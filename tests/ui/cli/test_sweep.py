"""The command for sweeps, without its extra package."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from devise_exp.ui.cli.main import app


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("devise_exp.pipelines.sweep")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)  # what Python then makes of an import
    result = CliRunner().invoke(app, ["sweep"])
    assert result.exit_code == 2
    assert "error: sweeps need optuna: pip install 'devise-exp[sweep]'" in result.output
