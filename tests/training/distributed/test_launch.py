"""Ranks that are started for a function: one result, and an end for all if one fails."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from helpers.own_process import OwnProcess
from helpers.rank_functions import (
    fail,
    fail_in_stage,
    follow_notes,
    lead_notes,
    lead_training,
)
from helpers.ranks import ended, started

from devise_exp.core.errors import InputError
from devise_exp.training.distributed.group import in_group
from devise_exp.training.distributed.launch import launch

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# In a session of its own, as a terminal gives it, so that Ctrl-C goes to all of its processes.
PARENT = """
import os, sys
os.setsid()
from devise_exp.core.command import command
from devise_exp.training.distributed.launch import launch
from helpers.rank_functions import follow_notes, wait_for_ever
command(lambda: launch(2, follow_notes, wait_for_ever, sys.argv[1]))()
"""


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """Start the server that ranks are forked from with the modules that other tests need too."""
    forkserver.ensure_running()


def two(function: Callable[..., Any], *arguments: Any) -> Any:
    return launch(2, follow_notes, function, *arguments)


def no_trace() -> bool:
    """Whether nothing of the ranks is left in this process, for the next job of a sweep."""
    return not any(name in os.environ for name in VARIABLES) and not in_group()


def test_the_result_is_rank_0s_and_ranks_stay_for_every_stage(tmp_path: Path) -> None:
    pid, sums = two(lead_notes, str(tmp_path / "note"), ["a: 1", "a: 2"])
    lines = [line.split(" ", 2) for line in (tmp_path / "note").read_text().splitlines()]
    assert sums == [2, 4]  # a stage ends when all ranks have done it
    assert sorted(line[1:] for line in lines) == [[r, c] for r in "01" for c in ("a: 1", "a: 2")]
    pids = {rank: {line[0] for line in lines if line[1] == rank} for rank in "01"}
    assert pids["0"] == {str(pid)}
    assert len(pids["1"]) == 1
    assert str(os.getpid()) not in pids["0"] | pids["1"]
    assert no_trace()


@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        ("input", InputError, "^process 1: no such image$"),
        ("bug", RuntimeError, "^process 1: ValueError: could not convert string to float"),
        ("own", InputError, "^process 1: code of your own failed: ZeroDivisionError: division by"),
        ("kill", InputError, r"^process 1 has died \(exit code -9\): was it killed"),
    ],
)
def test_a_rank_that_fails_is_one_error(
    tmp_path: Path, act: str, kind: type[Exception], reason: str
) -> None:
    with pytest.raises(kind, match=reason):
        two(lead_notes, str(tmp_path / "note"), ["a: 1", act])
    assert no_trace()


@pytest.mark.parametrize(
    ("function", "argument", "kind", "reason"),
    [
        (fail, "bug", RuntimeError, "^ValueError: could not convert string to float: 'mine too'$"),
        (fail, "own", InputError, "^code of your own failed: ZeroDivisionError: a user's "),
        (fail_in_stage, "note", InputError, "^mine in a stage$"),
    ],
    ids=["bug", "own", "stage"],
)
def test_an_error_of_rank_0_stays_what_it_is(
    tmp_path: Path,
    function: Callable[..., Any],
    argument: str,
    kind: type[Exception],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=reason) as raised:
        two(function, argument)
    assert ("in fail" in str(raised.value.__cause__)) == (argument == "bug")  # where it came from


@pytest.mark.parametrize(
    ("act", "reason"),
    [("dies", "^process 1 has died"), ("nan", "^process 1: the loss became nan")],
)
def test_a_rank_that_fails_in_the_middle_of_a_training_ends_it_with_its_reason(
    tmp_path: Path, act: str, reason: str
) -> None:
    """Rank 0 only sees that the connection is closed, which is not the reason."""
    with pytest.raises(InputError, match=reason):
        two(lead_training, str(tmp_path), act)
    assert not list(tmp_path.glob(".*"))  # no half of a file
    assert no_trace()


def waiting(tmp_path: Path) -> tuple[OwnProcess, Path]:
    return started(tmp_path, "-c", PARENT, str(tmp_path / "pid")), tmp_path / "pid"


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started_by(pid: int) -> list[int]:
    """Its children and theirs: what multiprocessing adds, and the ranks."""
    tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
    pids = [int(child) for task in tasks for child in task.read_text().split()]
    return [*pids, *(later for child in pids for later in started_by(child))]


@pytest.mark.parametrize(
    ("number", "to_all"),
    [(signal.SIGINT, True), (signal.SIGTERM, False)],
    ids=["ctrl-c", "sigterm"],
)
def test_a_stop_ends_all_ranks_once_and_is_one_line(
    tmp_path: Path, number: int, to_all: bool
) -> None:
    """Rank 0 may clear up: what stops it comes from the terminal and from its parent."""
    process, path = waiting(tmp_path)
    until(lambda: path.exists() and path.read_text())
    ranks = started_by(process.pid)
    assert len(ranks) >= 3
    (os.killpg if to_all else os.kill)(process.pid, number)
    code, _, messages = ended(process)
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[signal.Signals(number)]
    assert (code, messages) == (128 + number, f"{word}\n")
    assert Path(f"{path}.stopped").read_text() == "Terminated"  # once: by its parent
    until(lambda: all(map(is_gone, ranks)), 60)


def test_ctrl_c_while_ranks_start_is_one_line_too(tmp_path: Path) -> None:
    process, path = waiting(tmp_path)
    until(lambda: len(started_by(process.pid)) >= 2)  # the last is a rank
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process) == (130, "", "interrupted\n")
    assert not path.exists()


def test_ranks_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    process, path = waiting(tmp_path)
    until(lambda: path.exists() and path.read_text())
    ranks = started_by(process.pid)
    process.send_signal(signal.SIGKILL)
    assert ended(process) == (-signal.SIGKILL, "", "")
    until(lambda: all(map(is_gone, ranks)), 30)
