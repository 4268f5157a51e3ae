"""Studies: plans that depend on the study alone, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.sweeps import spec
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from devise_exp.pipelines.sweep.study_config import study_of
from devise_exp.ui.cli.main import app


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), values=st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_a_plan_hangs_on_the_study_and_what_is_known_alone(seed: int, values: list[float]) -> None:
    study = study_of(spec(seed=seed, space={"seed": {"low": 0, "high": 9}, "loss": ["a", "b"]}))
    known = [
        optuna.create_trial(params=params, distributions=dict(study.space), value=value)
        for params, value in zip(study.plan([], 0) + study.plan([], 1), values, strict=True)
    ]
    assert study.plan(known, 2) == study.plan(known, 2)
    assert all(0 <= item["seed"] <= 9 and item["loss"] in "ab" for item in study.plan(known, 2))


WRONG = {
    "no such study": (["study=nope"], "study=nope: no such option"),
    "unknown key": (["study=small", "study.space.optimizer={lr:1}"], "study.space"),
    "no space": (["study=small", "study.space=null"], "study.space=null: give key: values"),
    "no such key": (["study=small", "+study.trails=5"], "study.trails: no such key"),
    "a key too few": (["study=small", "~study.seed"], "study.seed is needed"),
    "a name outside": (["study=small", "study.name=../escape"], "study.name=../escape: give"),
    "said twice": (["study=small", "study.overrides=['loss=mse']"], "loss is in the space too"),
    "resumes": (["study=small", "study.overrides=['resume=x']"], "study.overrides: resume=x"),
    "no workers": (["study=small", "workers=0"], "workers=0"),
    "no trials": (["study=small", "study.trials=0"], "study.trials=0"),
    "unseen": (["study=unseen"], "unseen/hit@1"),
    "misspelt": (["study=small", "+study.space.projectoin=[1]"], "projectoin"),
    "no database": (["study=small", "storage=postgresql://a:secret@127.0.0.1:1/x"], "storage="),
    "slash in a password": (
        ["study=small", "storage=postgresql://a:secret/x@127.0.0.1:1/x"],
        "storage=",
    ),
    "a bare @": (
        ["study=small", "storage=postgresql://a:secret@secret@127.0.0.1:1/x"],
        "as %40",
    ),
    "a bare #": (["study=small", "storage=postgresql://a:secret#x@127.0.0.1:1/x"], "storage="),
    "another sampler": (
        [
            "study=small",
            "study.sampler._target_=optuna.samplers.QMCSampler",
            "~study.sampler.n_startup_trials",
        ],
        "takes TPESampler",
    ),
    "deletes": (["study=small", "study.overrides=[~scheduler]"], "study.overrides"),
    "no folder": (["study=small", "storage=/nowhere/at/all"], "storage=/nowhere"),
    "range": (["study=small", "study.space.loss={low:2,high:1}"], "study.space.loss"),
    "sampler": (["study=small", "study.sampler._target_=optuna.samplers.X"], "study.sampler"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_is_one_line(
    name: str, studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments, said = WRONG[name]
    given = ["sweep", "--config-dir", str(studies), f"folder={tmp_path / 'new'}", *arguments]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().split("\n")) == 1, result.output
    assert result.output.startswith("error: ")
    assert said in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize("value", [None, True, 0.1, 1e-9, 3, "a", "1", "a b,c=d", "it's"])
def test_values_come_back_from_hydra_as_they_were(value: Any) -> None:
    study = study_of(spec(space={"logger": [value]}))
    (parsed,) = OverridesParser.create().parse_overrides(study.overrides_of({"logger": value}))
    assert parsed.value() == value
    assert type(parsed.value()) is type(value)
