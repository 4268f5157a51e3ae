"""Processes of torchrun and srun: which is which, and what they meet by."""

from __future__ import annotations

from datetime import timedelta

import pytest
from helpers.ranks import slurm

from devise_exp.core.errors import InputError
from devise_exp.training.distributed.environment import launcher_of, set_torch_variables
from devise_exp.training.distributed.group import process_group

ELASTIC = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "2",
    "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "gpu01",
    "MASTER_PORT": "29500",
}
STEP = slurm(3, 1, 1, 4, nodes=2) | {"SLURM_JOB_ID": "12", "SLURM_STEP_ID": "2"}


def in_torchs_words(environment: dict[str, str]) -> dict[str, str]:
    changed = dict(environment)
    set_torch_variables(changed)
    return {name: changed[name] for name in ELASTIC}


def test_what_torchrun_and_srun_say() -> None:
    assert launcher_of(ELASTIC) == ("torchrun", 8)
    assert in_torchs_words(ELASTIC) == ELASTIC
    assert in_torchs_words(ELASTIC | STEP) == ELASTIC  # torchrun in an srun
    assert launcher_of(ELASTIC | STEP) == ("torchrun", 8)
    assert launcher_of(STEP) == ("srun", 4)
    assert in_torchs_words(STEP) == {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "1",
        "GROUP_WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "15194",
    }
    address = {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "4000"}
    assert in_torchs_words(STEP | address).items() >= address.items()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        slurm(0, 0, 0, world_size=1),
        {k: v for k, v in slurm(0, 0, 0).items() if "STEP" not in k},  # a batch script without srun
        {**ELASTIC, "WORLD_SIZE": "1"},
    ],
    ids=["none", "one task", "batch script", "one rank"],
)
def test_one_process_is_nobodys_rank(environment: dict[str, str]) -> None:
    assert launcher_of(environment) is None


@pytest.mark.parametrize("name", ["SLURM_LOCALID", "SLURM_NNODES"])
def test_variables_that_are_not_whole_are_one_line(name: str) -> None:
    broken = {k: v for k, v in STEP.items() if k != name}
    with pytest.raises(InputError, match=rf"not complete .*{name}"):
        set_torch_variables(broken)


def test_a_number_of_processes_that_is_none_is_one_line() -> None:
    with pytest.raises(InputError, match=r"not complete .*'two'"):
        launcher_of({**ELASTIC, "WORLD_SIZE": "two"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu7", "gpu7"),
        ("gpu7,gpu9", "gpu7"),
        ("gpu[07-09,12],big1", "gpu07"),
        ("rack[2,4]n1", "rack2n1"),
    ],
)
def test_the_first_node_is_where_ranks_meet(nodes: str, first: str) -> None:
    assert in_torchs_words(STEP | {"SLURM_STEP_NODELIST": nodes})["MASTER_ADDR"] == first


@pytest.mark.parametrize(
    "environment",
    [
        slurm(0, 0, 0, 3, nodes=2),
        slurm(0, 0, 0, 4, nodes=2) | {"SLURM_STEP_TASKS_PER_NODE": "3,1"},
    ],
    ids=["three", "four"],
)
def test_unlike_numbers_of_processes_on_the_nodes_are_one_line(environment: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"started \d processes, not as many on each of 2"):
        set_torch_variables(environment)


@pytest.mark.parametrize("rank", [0, 1])
def test_processes_that_do_not_come_are_one_line(
    rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = slurm(rank, 0, rank)
    set_torch_variables(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(InputError, match=r"^localhost:\d+, where 2 processes meet: .*MASTER_PORT"),
        process_group(timeout=timedelta(seconds=1)),
    ):
        pass
