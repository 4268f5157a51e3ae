"""Results: numbers that the plan gives, and studies of one name."""

from __future__ import annotations

import optuna
import pytest
from helpers.sweeps import facts, spec
from optuna.trial import TrialState, create_trial

from devise_exp.core.errors import InputError
from devise_exp.pipelines.sweep.job import TrialJob
from devise_exp.pipelines.sweep.results import Results
from devise_exp.pipelines.sweep.storage import open_storage
from devise_exp.pipelines.sweep.study_config import study_of


def test_trials_have_the_numbers_of_the_plan_in_whichever_order_they_end(storage: str) -> None:
    study = study_of(spec(trials=3))
    plan = study.plan([], 0)
    jobs = [
        TrialJob(study=study, number=number, values=values, known=())
        for number, values in enumerate(plan)
    ]
    results = Results.open(study, storage)
    results.add(jobs[2].finished([0.25], {"seconds": 1.5}, {0: 0.125, 1: 0.25}))
    results.add(jobs[0].finished(None, {"error": "no such pictures"}))
    results.add(jobs[1].finished(None, None, {0: 0.0}))
    again = Results.open(study, storage)
    assert facts(again.trials()) == facts(results.trials())
    assert facts(again.trials()) == [
        (0, TrialState.FAIL, plan[0], None, {}, "no such pictures"),
        (1, TrialState.PRUNED, plan[1], None, {0: 0.0}, None),
        (2, TrialState.COMPLETE, plan[2], [0.25], {0: 0.125, 1: 0.25}, None),
    ]
    assert [trial.number for trial in again.trials(1)] == [0]


def test_an_earlier_version_s_trials_count_once_they_are_finished(storage: str) -> None:
    """It numbered trials as they were claimed, and left those of a stopped sweep waiting."""
    study = study_of(spec())
    stored = optuna.create_study(
        storage=open_storage(storage), study_name=study.name, directions=study.directions
    )
    stored.set_user_attr("identity", study.identity())
    plan = study.plan([], 0)
    stored.add_trial(create_trial(params=plan[0], distributions=dict(study.space), value=0.5))
    for state in (TrialState.WAITING, TrialState.RUNNING):
        stored.add_trial(create_trial(state=state))
    results = Results.open(study, storage)
    assert [(trial.number, trial.values) for trial in results.trials()] == [(0, [0.5])]
    results.add(TrialJob(study=study, number=1, values=plan[1], known=()).finished([0.75]))
    again = Results.open(study, storage).trials()
    assert [(trial.number, trial.params) for trial in again] == list(enumerate(plan[:2]))


def test_two_studies_of_one_name_and_different_spaces(storage: str) -> None:
    Results.open(study_of(spec()), storage)
    Results.open(study_of(spec(trials=99)), storage)  # more trials may join
    with pytest.raises(InputError, match=r"another study named small.*give study\.name"):
        Results.open(study_of(spec(space={"seed": {"low": 0, "high": 98}})), storage)
