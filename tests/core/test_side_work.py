"""Tasks that forked processes take beside this one: results, failures, deaths, Ctrl-C."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from devise_exp.core.side_work import SideWork, side_work


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Callable[[dict[str, Callable[[], Any]]], SideWork]]:
    """Begins tasks with two processes beside this one."""
    begun: list[SideWork] = []

    def begin(tasks: dict[str, Callable[[], Any]]) -> SideWork:
        begun.append(SideWork(tasks, tmp_path, 2))
        return begun[-1]

    yield begin
    for work in begun:
        work.end()


def wait_for_the_end(work: SideWork) -> None:
    """Until the other processes have done all tasks, which they tell by the end of their pipes."""
    for pipe in work._children:
        while select.select([pipe], [], [])[0] and os.read(pipe, 1):
            pass


def test_results_are_those_of_the_functions(beside: Any) -> None:
    work = beside({f"{i}": lambda i=i: (i, os.getpid()) for i in range(20)})
    time.sleep(0.3)  # for the others to take some
    results = [work.take(f"{i}") for i in reversed(range(20))]
    assert [i for i, _ in results] == [*reversed(range(20))]
    assert any(process != os.getpid() for _, process in results)


def test_a_result_may_be_large(beside: Any) -> None:
    work = beside({"large": lambda: torch.arange(3_000_000)})
    assert torch.equal(work.take("large"), torch.arange(3_000_000))


def test_without_other_processes_a_task_waits_until_it_is_asked_for(tmp_path: Path) -> None:
    calls: list[str] = []
    work = SideWork({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, tmp_path, 0)
    assert calls == []
    work.take("b")
    assert calls == ["b"]
    work.end()


def test_each_task_is_done_once(beside: Any, tmp_path: Path) -> None:
    def mark(i: int) -> None:
        with (tmp_path / "marks").open("a") as file:
            file.write(f"{i}\n")

    work = beside({f"{i}": lambda i=i: mark(i) for i in range(50)})
    for i in range(50):
        work.take(f"{i}")
    assert sorted(map(int, (tmp_path / "marks").read_text().split())) == [*range(50)]


def test_a_failure_elsewhere_is_raised_here(beside: Any) -> None:
    first = os.getpid()

    def fail() -> None:
        raise ValueError("here" if os.getpid() == first else "elsewhere")

    work = beside({"fail": fail, "fine": lambda: 1, "endless": lambda: time.sleep(600)})
    time.sleep(0.3)
    assert work.take("fine") == 1
    with pytest.raises(ValueError, match="here"):  # at once, whatever else is being done
        work.take("fail")


class Unreadable:
    """Can be pickled, and not read again."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.mark.parametrize("make", [threading.Lock, Unreadable])
def test_what_cannot_be_handed_over_is_made_here(beside: Any, make: Callable[[], Any]) -> None:
    work = beside({"first": make, "process": os.getpid})
    wait_for_the_end(work)
    assert type(work.take("first")) is type(make())
    assert work.take("process") != os.getpid()  # the results of processes that have ended count


def test_a_result_may_be_a_function(beside: Any) -> None:
    def doubled() -> Callable[[int], int]:
        return lambda number: 2 * number

    work = beside({"function": doubled})
    time.sleep(0.3)
    assert work.take("function")(4) == 8


def test_tasks_of_killed_processes_are_done_here(beside: Any) -> None:
    first = os.getpid()

    def die() -> str:
        if os.getpid() != first:
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    work = beside({f"{i}": die for i in range(5)})
    assert [work.take(f"{i}") for i in range(5)] == ["done"] * 5


def test_others_have_one_thread_and_end_with_the_block() -> None:
    code = """
import os, time, torch
from devise_exp.core.side_work import side_work
def threads():
    ones = torch.ones(300, 300)
    return os.getpid(), torch.get_num_threads(), float((ones @ ones).sum())
with side_work({"threads": threads, "endless": lambda: time.sleep(600)}) as work:
    time.sleep(1)
    print(*work.take("threads"), torch.get_num_threads())
print(torch.get_num_threads())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    process, threads, total, here, after = done.stdout.split()
    assert (threads, total, here, after) == ("1", "27000000.0", "1", "2")
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


def test_a_rank_of_several_forks_no_process(tmp_path: Path) -> None:
    code = f"""
import os, time, torch
from devise_exp.core import side_work
side_work.processors = lambda: 3
torch.set_num_threads(3)
def alone():
    with side_work.side_work({{"process": os.getpid}}) as work:
        time.sleep(0.5)
        return work.take("process") == os.getpid()
print(alone())
torch.distributed.init_process_group(
    "gloo", init_method={(tmp_path / "group").as_uri()!r}, rank=0, world_size=1
)
print(alone())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.split() == ["False", "True"]


def test_one_thread_is_one_process() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with side_work({"process": os.getpid}) as work:
            time.sleep(0.2)
            assert work.take("process") == os.getpid()
    finally:
        torch.set_num_threads(before)


def goes_on(status: Path) -> bool:
    """Whether the process of a file of /proc has neither ended nor waits to be buried."""
    try:
        return "zombie" not in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_others_end_with_a_first_process_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, signal, time, torch
from pathlib import Path
from devise_exp.core import side_work
process = Path({str(tmp_path / "process")!r})
def endless():
    process.write_text(str(os.getpid()))
    time.sleep(600)
side_work.SideWork({{"endless": endless}}, Path({str(tmp_path)!r}), 1)
while not (process.is_file() and process.read_text()):
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, timeout=100)
    other = Path(f"/proc/{(tmp_path / 'process').read_text()}/status")
    until = time.monotonic() + 10
    while goes_on(other) and time.monotonic() < until:
        time.sleep(0.01)
    assert not goes_on(other)
