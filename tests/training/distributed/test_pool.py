"""The pool of workers: stages in small, and an end for all processes if one fails."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from helpers.ranks import ended, started

from devise_exp.core.errors import InputError
from devise_exp.training.distributed.pool import WorkerPool, use_worker_pool, worker_pool
from devise_exp.training.distributed.ranks import StageRequest

VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "DEVISE_RANK_0")


CHILD = """
import os, sys
from functools import partial
from pathlib import Path
import numpy as np, pytorch_lightning as pl, torch
from devise_exp.methods import losses, projection
from devise_exp.training.distributed import serving
from devise_exp.training.module import DeviseModule
from devise_exp.training.batches import FeatureInputs, RowBatches
from devise_exp.training.lightning import FitSettings, fit_with_lightning


class Fails(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_rank == 1 and trainer.global_step == 3:
            if self.how == "dies":
                os._exit(9)
            with torch.no_grad():
                pl_module.projection.weight.fill_(float("nan"))


def main(folder, how):
    Fails.how = how
    rng = np.random.default_rng(0)
    inputs = FeatureInputs(rng.normal(size=(64, 4)))
    rows = RowBatches(inputs, np.arange(64), rng.integers(0, 3, 64))
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(3, 2)).astype("f4")))
    sgd = partial(torch.optim.SGD, lr=0.1)
    module = DeviseModule(projection.linear(4, 2), losses.cosine, vectors, sgd)
    def make(callbacks, **given):
        return pl.Trainer(accelerator="cpu", devices=2, strategy="ddp", max_epochs=2,
                          callbacks=[*callbacks, Fails()], **given)
    return fit_with_lightning(module, make, rows, rows, Path(folder), 0, FitSettings(batch_size=8))


if __name__ == "__main__":
    connection = serving.rank_0_connection()
    serving.serve_stages(connection, lambda request, _: main(request.run_folder, request.stage))
"""


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModuleType]:
    """A small training as a program, and as a module for rank 0."""
    path = tmp_path_factory.mktemp("child") / "small_training.py"
    path.write_text(CHILD)
    spec = importlib.util.spec_from_file_location("small_training", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return path, module


def no_trace() -> bool:
    """Whether nothing of a training is left in this process, for the next job of a sweep."""
    set_ = [variable for variable in VARIABLES if variable in os.environ]
    return not set_ and not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("how", "reason"),
    [("dies", "has died: was it killed"), ("nan", "process 1 of node 0: the loss became nan")],
)
def test_a_rank_that_fails_in_the_middle_ends_the_training_with_an_error(
    tmp_path: Path, child: tuple[Path, ModuleType], how: str, reason: str
) -> None:
    path, small = child
    with (
        use_worker_pool(WorkerPool(2, command=[str(path)])) as pool,
        pytest.raises(InputError, match=reason),
        pool.training(StageRequest(stage=how, config="", run_folder=str(tmp_path))),
    ):
        small.main(tmp_path, how)
    assert no_trace()
    with (
        pytest.raises(InputError, match="lost when an earlier job of this sweep failed"),
        pool.training(StageRequest(stage=how, config="", run_folder=str(tmp_path))),
    ):
        pass


def program(*acts: str) -> list[str]:
    """A rank that does `acts`, lines of Python, whenever it is asked to."""
    head = (
        "import os, time, torch.distributed as dist\n"
        "from devise_exp.core.errors import InputError\n"
        "from devise_exp.training.distributed import serving\n"
    )
    body = "".join(f"    {line}\n" for line in acts)
    tail = "serving.serve_stages(serving.rank_0_connection(), act)"
    return ["-c", f"{head}def act(request, rank_info):\n{body}{tail}"]


ADDS = (
    "serving.send_ready()",
    "dist.init_process_group('gloo', rank=rank_info.rank, world_size=rank_info.world_size)",
)


@pytest.fixture
def begun() -> Iterator[Callable[..., WorkerPool]]:
    """begun(acts...) -> a pool whose other rank does them."""
    pools: list[WorkerPool] = []

    def make(*acts: str, size: int = 2) -> WorkerPool:
        pools.append(WorkerPool(size, command=program(*acts)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
    assert no_trace()


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("exit(1)", "has died"),
        ("os._exit(0)", "has died"),
        ("raise InputError('no such image')", "process 1 of node 0: no such image"),
        ("1 / 0", "process 1 of node 0 ended with an error: see its message above"),
    ],
)
def test_a_rank_that_never_comes_is_an_error_before_anything_is_trained(
    begun: Callable[..., WorkerPool], act: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    entered = False
    with (
        pytest.raises(InputError, match=reason),
        begun(act).training(StageRequest(stage="projection", config="")),
    ):
        entered = True
    assert not entered
    assert ("ZeroDivisionError" in capfd.readouterr().err) == ("/" in act)


def test_a_rank_that_ends_badly_after_all_is_an_error(begun: Callable[..., WorkerPool]) -> None:
    entered = False
    with (
        pytest.raises(InputError, match="has died"),
        begun("serving.send_ready()", "os._exit(3)").training(
            StageRequest(stage="projection", config="")
        ),
    ):
        entered = True
    assert entered


def test_ranks_stay_for_every_request_and_meet_anew_for_each(
    begun: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    note = (
        "open(request.run_folder, 'a').write(f'{os.getpid()} {rank_info.rank} {request.config}\\n')"
    )
    pool = begun(*ADDS, "dist.barrier()", note)
    for config in ("a: 1", "a: 2"):
        with pool.training(
            StageRequest(stage="projection", config=config, run_folder=str(tmp_path / "note"))
        ):
            assert os.environ["LOCAL_RANK"] == "0"
            torch.distributed.init_process_group("gloo", rank=0, world_size=2)
            torch.distributed.barrier()
        assert no_trace()
    first, second = (line.split(" ", 2) for line in (tmp_path / "note").read_text().splitlines())
    assert first[:2] == second[:2]
    assert [first[1:], second[1:]] == [["1", "a: 1"], ["1", "a: 2"]]


def test_an_error_of_rank_0_stops_the_others_and_stays_what_it_is(tmp_path: Path) -> None:
    note = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"

    def rank_0() -> None:
        with (
            use_worker_pool(
                WorkerPool(2, command=program(note, "serving.send_ready()", "time.sleep(600)"))
            ) as pool,
            pool.training(StageRequest(stage="projection", config="")),
        ):
            raise InputError("mine")

    with pytest.raises(InputError, match="mine"):
        rank_0()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_error_of_rank_0_is_not_taken_for_an_echo_of_the_others(
    begun: Callable[..., WorkerPool],
) -> None:
    def rank_0() -> None:
        with begun(*ADDS, "dist.barrier()").training(StageRequest(stage="projection", config="")):
            torch.distributed.init_process_group("gloo", rank=0, world_size=2)
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        rank_0()


def gone(pid: int, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_rank_that_is_deaf_ends_when_rank_0_is_killed(tmp_path: Path) -> None:
    child = program(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))", *ADDS)
    code = f"""
import os, time, devise_exp.training.distributed.pool as pool
request = pool.StageRequest(stage='projection', config='')
with pool.WorkerPool(2, command={child!r}).training(request):
    time.sleep(1)  # the other waits for us in a call that no signal interrupts
    os.kill(os.getpid(), 9)
"""
    rank_0 = started(tmp_path, "-c", code)
    assert ended(rank_0) == (-signal.SIGKILL, "", "")
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_process_stuck_in_a_call_that_hears_no_signal_ends_when_a_rank_has_died(
    tmp_path: Path,
) -> None:
    code = f"""
import torch.distributed, devise_exp.training.distributed.pool as pool
pool._GRACE = 2.0
child = {program("serving.send_ready()", "os._exit(3)")!r}
with pool.WorkerPool(2, command=child).training(pool.StageRequest(stage='projection', config='')):
    torch.distributed.init_process_group("gloo", rank=0, world_size=2)  # waits for rank 1
"""
    code_, _, messages = ended(started(tmp_path, "-c", code))
    assert code_ == 2
    assert "error: process 1 of node 0 has died" in messages


def test_one_process_starts_no_other() -> None:
    with worker_pool(1) as pool, pool.training(StageRequest(stage="projection", config="")):
        assert not pool.workers
        assert no_trace()


def test_the_ranks_at_hand_must_be_those_that_the_config_asks_for() -> None:
    with use_worker_pool(WorkerPool(2, 3, workers=[])) as pool:
        with worker_pool(2, 3) as taken:
            assert taken is pool
        with (
            pytest.raises(InputError, match=r"devices=3 and .*nodes=2 ask for 6 .* 2 on each of 3"),
            worker_pool(3, 2),
        ):
            pass
    with (
        pytest.raises(InputError, match=r"num_nodes=2: start devise-exp train on every node"),
        worker_pool(1, 2),
    ):
        pass
