"""Every part of a config is built once before anything is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers.configs import FEW
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.pipelines.checks import check
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.prepare import prepare

Config = Callable[..., DictConfig]
FOLDLESS = (*FEW, "class_folds=0", "method=none")


@pytest.fixture(scope="module")
def data(composed: Config) -> ExperimentData:
    return prepare(composed(*FOLDLESS))


def test_a_method_of_a_users_own_may_have_an_argument_called_loss(
    composed: Config, data: ExperimentData
) -> None:
    weighted = "{_target_: helpers.own_methods.Weighted, loss: hinge}"
    check(composed(*FOLDLESS, f"+method.weighted={weighted}"), data)


def test_a_loss_of_a_method_is_one_of_the_group(composed: Config, data: ExperimentData) -> None:
    with pytest.raises(InputError, match=r"^method\.mine\.loss=hinge: give a loss as in conf/loss"):
        check(composed(*FOLDLESS, "+method.mine={loss: hinge}"), data)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("WithoutVectors", r"^index: WithoutVectors has no attribute vectors of the shape \(2, "),
        ("OneRow", r"^index: OneRow\.search of 2 queries .* gives ids \(1, 2\) and similarities"),
        ("Repeats", r"^index: Repeats\.search of 2 queries .* with each id once"),
    ],
)
def test_an_index_of_a_users_own_answers_before_the_training(
    composed: Config, data: ExperimentData, name: str, line: str
) -> None:
    mine = f"index={{_target_: helpers.own_indexes.{name}, _partial_: true}}"
    with pytest.raises(InputError, match=line):
        check(composed(*FOLDLESS, mine), data)
