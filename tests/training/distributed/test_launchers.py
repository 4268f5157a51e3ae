"""Processes of torchrun and srun: which is which, and how they meet."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace

import pytest
from helpers.ranks import slurm

from devise_exp.core.errors import InputError
from devise_exp.training.distributed import launchers
from devise_exp.training.distributed.launchers import (
    LaunchedProcess,
    accept_workers,
    connect_to_rank_0,
    from_environment,
)
from devise_exp.training.distributed.pool import WorkerPool


def test_what_torchrun_and_srun_say() -> None:
    elastic = {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "GROUP_RANK": "2",
        "MASTER_ADDR": "gpu01",
        "MASTER_PORT": "29500",
    }
    launched = LaunchedProcess(
        launcher="torchrun",
        rank=5,
        world_size=8,
        node=2,
        local_rank=1,
        address="gpu01",
        port=29500,
    )
    assert from_environment(elastic) == launched
    assert from_environment({**elastic, "TORCHELASTIC_USE_AGENT_STORE": "True"}) == replace(
        launched, agent_store=True
    )
    assert from_environment({**elastic, **slurm(0, 0, 0)}) == from_environment(
        elastic
    )  # torchrun in an srun
    step = slurm(3, 1, 0, 4) | {"SLURM_JOB_ID": "12", "SLURM_STEP_ID": "2"}
    launched = LaunchedProcess(
        launcher="srun",
        rank=3,
        world_size=4,
        node=1,
        local_rank=0,
        address="localhost",
        port=15194,
    )
    assert from_environment(step) == launched
    address = {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "4000"}
    assert from_environment(step | address) == replace(launched, address="10.0.0.7", port=4000)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        slurm(0, 0, 0, world_size=1),
        {k: v for k, v in slurm(0, 0, 0).items() if "STEP" not in k},  # a batch script without srun
    ],
)
def test_one_process_is_nobodys_rank(environment: dict[str, str]) -> None:
    assert from_environment(environment) is None


def test_variables_that_are_not_whole_are_one_line() -> None:
    broken = {k: v for k, v in slurm(0, 0, 0).items() if k != "SLURM_LOCALID"}
    with pytest.raises(InputError, match=r"not complete .*SLURM_LOCALID"):
        from_environment(broken)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu7", "gpu7"),
        ("gpu7,gpu9", "gpu7"),
        ("gpu[07-09,12],big1", "gpu07"),
        ("rack[2,4]n[1-3]", "rack2n1"),
    ],
)
def test_the_first_node_is_where_ranks_meet(nodes: str, first: str) -> None:
    process = from_environment(slurm(0, 0, 0) | {"SLURM_STEP_NODELIST": nodes})
    assert process is not None
    assert process.address == first


def together(*ranks: tuple[int, int]) -> WorkerPool:
    """Ranks (node, local_rank) that meet in threads of this process; the pool of the first."""
    environments = [slurm(i, *rank, len(ranks)) for i, rank in enumerate(ranks)]
    processes = [p for env in environments if (p := from_environment(env)) is not None]
    others = [threading.Thread(target=connect_to_rank_0, args=(p,)) for p in processes[1:]]
    for thread in others:
        thread.start()
    try:
        return accept_workers(processes[0])
    finally:
        for thread in others:
            thread.join()


def test_processes_meet_in_whatever_order_the_launcher_has_dealt_them() -> None:
    pool = together((0, 0), (1, 0), (0, 1), (1, 1))
    assert (pool.processes_per_node, pool.nodes) == (2, 2)
    ranks = [pool.rank_info(w.node, w.local_rank).rank for w in pool.workers]
    assert sorted(ranks) == [1, 2, 3]


def test_unlike_numbers_of_processes_on_the_nodes_are_one_line() -> None:
    with pytest.raises(InputError, match="srun has started 3 processes, not as many on each of 2"):
        together((0, 0), (0, 1), (1, 0))


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\1\0{"])
def test_a_stranger_that_connects_and_says_nothing_is_let_go(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(launchers, "_GREETING_SECONDS", 1)
    first, second = from_environment(slurm(0, 0, 0)), from_environment(slurm(1, 0, 1))
    assert first is not None
    assert second is not None
    let_go = []

    def connect() -> None:
        port = json.loads(launchers._store(second).get(launchers._key(second)))["port"]
        with socket.create_connection(("localhost", port)) as stranger:
            stranger.sendall(sent)
            connect_to_rank_0(second)
            let_go.append(stranger.recv(1))

    thread = threading.Thread(target=connect)
    thread.start()
    pool = accept_workers(first)
    thread.join()
    assert [(worker.node, worker.local_rank) for worker in pool.workers] == [(0, 1)]
    assert let_go == [b""]


def test_processes_that_do_not_come_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "_TIMEOUT", 0.5)
    first, second = from_environment(slurm(0, 0, 0)), from_environment(slurm(1, 0, 1))
    assert first is not None
    assert second is not None
    with pytest.raises(InputError, match=r"where the processes meet: .*MASTER_PORT"):
        connect_to_rank_0(second)
    with pytest.raises(InputError, match="1 of 2 processes came"):
        accept_workers(first)
    store = launchers._store(first)  # torchrun's own is there before any process
    with pytest.raises(InputError, match="first of 2 processes did not come"):
        connect_to_rank_0(second)
    del store
