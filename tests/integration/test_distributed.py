"""Training on several processes: as one would train, also in sweeps, whoever started them; and an
end for all of them where one fails.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers.configs import ALONE
from helpers.own_process import OwnProcess
from helpers.paths import ROOT
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.pipelines import run
from devise_exp.runs import gallery_files
from devise_exp.training.checkpoint import read_checkpoint
from devise_exp.training.distributed import launchers
from devise_exp.training.distributed.launchers import (
    LaunchedProcess,
    accept_workers,
    connect_to_rank_0,
    from_environment,
)
from devise_exp.training.distributed.pool import WorkerPool, use_worker_pool, worker_pool
from devise_exp.training.distributed.ranks import StageRequest

VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "DEVISE_RANK_0")
SMALL = (
    "data=image_folder",
    "backbone=resnet18",
    "backbone.weights=null",
    "word_vectors=random",
    "projection=linear",
    "optimizer=sgd",
    "optimizer.lr=0.3",
    "logger=none",
    "index=exact",
    *ALONE,
    "trainer.max_epochs=2",
    "features.num_workers=0",
    "subset.limit_per_class=6",
    "features.batch_size=5",  # 48 rows: the last of 10 batches is rank 1's, and a short one
)
TWO = ("trainer=ddp", "trainer.accelerator=cpu")
LOSSES = ("cosine", "softmax")
# Per process; 6 seen classes of 4 pictures to train on make 24 rows, 12 for each of two ranks.
BATCH = "training.batch_size=8"
TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2")

REQUEST = StageRequest(stage="projection", config="")


def slurm(rank: int, node: int, local_rank: int, world_size: int = 2) -> dict[str, str]:
    """What srun tells a process of a step."""
    return {
        "SLURM_JOB_ID": str(os.getpid()),  # the port follows from it
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(world_size),
        "SLURM_PROCID": str(rank),
        "SLURM_NODEID": str(node),
        "SLURM_LOCALID": str(local_rank),
    }


def started(folder: Path, *arguments: str, **more: str) -> OwnProcess:
    """A process with one thread and a cache of its own under `folder`, where it works."""
    folder.mkdir(exist_ok=True)
    variables = {
        "DEVISE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return OwnProcess(*arguments, cwd=folder, **variables, **more)


def ended(process: OwnProcess, seconds: float = 400) -> tuple[int | None, str, str]:
    """Its exit code, output and messages."""
    output, messages = process.communicate(seconds)
    return process.returncode, output, messages


def last(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]
    return state


def metrics(folder: Path) -> dict[str, float]:
    values: dict[str, float] = json.loads((folder / "metrics.json").read_text())
    return values


Trained = dict[str, list[Path]]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    image_tree: Path,
    composed: Callable[..., DictConfig],
) -> Trained:
    """Run folders, of each loss: on two ranks as a sweep that starts them itself, as a sweep under
    torchrun, and (cosine only) as srun would on two nodes; on one process with the batches of both
    ranks together, and (cosine only) with batches of half that size.
    """
    base = tmp_path_factory.mktemp("trained")
    data = f"data.root={image_tree}"
    train, overrides = str(ROOT / "train.py"), (data, *SMALL, *TWO, BATCH)
    sweep = [train, "-m", *overrides, f"loss={','.join(LOSSES)}", "hydra.sweep.dir=sweep"]
    nodes = [train, *overrides, "loss=cosine", "trainer.devices=1", "trainer.num_nodes=2"]
    processes = [
        started(base / "started", *sweep),
        started(base / "torchrun", *TORCHRUN, *sweep),
        *(started(base / "srun", *nodes, "hydra.run.dir=run", **slurm(i, i, 0)) for i in (0, 1)),
    ]
    for batch in (16, 8):
        for loss in LOSSES[: 1 + (batch == 16)]:
            more = (f"training.batch_size={batch}", f"loss={loss}")
            run.train(composed(data, *SMALL, *more), base / f"{batch}-{loss}", quietly=True)
    codes, outputs, messages = zip(*map(ended, processes), strict=True)
    assert codes == (0, 0, 0, 0), messages
    assert [text.count("chance") > 0 for text in outputs] == [True, True, True, False]
    assert messages[3] == ""  # a worker has nothing to say
    return {
        "started": [base / "started/sweep" / number for number in "01"],
        "torchrun": [base / "torchrun/sweep" / number for number in "01"],
        "srun": [base / "srun/run"],
        "one": [base / f"16-{loss}" for loss in LOSSES],
        "half": [base / "8-cosine"],
    }


@pytest.mark.parametrize("job", [0, 1])
def test_two_ranks_train_as_one_process_with_both_batches(trained: Trained, job: int) -> None:
    """Each job of a sweep by its own settings on both ranks, or the weights would be others."""
    two, one = last(trained["started"][job]), last(trained["one"][job])
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)
    assert read_checkpoint(trained["started"][job] / "checkpoints/last.ckpt")["epoch"] == 1
    config = OmegaConf.load(trained["started"][job] / "config.yaml")
    assert config.loss._target_.split(".")[-1] == LOSSES[job]


def test_neither_the_batches_of_one_rank_nor_another_loss_train_so(trained: Trained) -> None:
    two = last(trained["started"][0])["projection.weight"]
    for folder in (trained["half"][0], trained["started"][1]):
        assert (last(folder)["projection.weight"] - two).abs().max() > 1e-2


@pytest.mark.parametrize(("launcher", "job"), [("torchrun", 0), ("torchrun", 1), ("srun", 0)])
def test_a_launcher_changes_neither_weights_nor_metrics(
    trained: Trained, launcher: str, job: int
) -> None:
    expected, launched = trained["started"][job], trained[launcher][job]
    for name, tensor in last(expected).items():
        torch.testing.assert_close(last(launched)[name], tensor, atol=0, rtol=0)
    assert metrics(launched) == metrics(expected)


@pytest.mark.parametrize("launcher", ["started", "torchrun", "srun"])
def test_a_bank_that_ranks_have_shared_is_that_of_one_process(
    trained: Trained, launcher: str
) -> None:
    folder = trained[launcher][0].parents[launcher != "srun"]
    [shared] = (folder / "cache/features").glob("*/features.npy")
    alone = Path(os.environ["DEVISE_CACHE"]) / "features" / shared.parent.name / "features.npy"
    assert shared.read_bytes() == alone.read_bytes()
    assert not list((folder / "cache/features").glob("*.unfinished"))


def test_a_worker_leaves_no_folder_of_its_own(trained: Trained) -> None:
    folder = trained["srun"][0].parent
    assert {path.name for path in folder.iterdir()} == {"cache", "outputs", "run"}
    assert [path.name for path in (folder / "outputs").iterdir()] == ["latest"]


@pytest.mark.parametrize("job", [0, 1])
def test_the_validation_metric_is_that_of_every_row_once(trained: Trained, job: int) -> None:
    folder = trained["started"][job]
    classes = json.loads((folder / "classes.json").read_text())
    seen = [i for i, entry in enumerate(classes) if entry["seen"]]
    vectors = np.load(folder / "class_vectors.npy")[seen]
    # The gallery has directions from the centre; each embedding is the unit vector on that line.
    away = gallery_files.load(folder / "gallery", "devise").part("val").index.vectors.astype(float)
    along = away @ vectors.mean(axis=0)
    steps = np.sqrt(along**2 + 1 - (vectors.mean(axis=0) ** 2).sum()) - along
    embeddings = vectors.mean(axis=0) + steps[:, None] * away
    rows = json.loads((folder / "split.json").read_text())["val"]
    answers = [classes[seen[i]]["name"] for i in (embeddings @ vectors.T).argmax(axis=1)]
    truth = [row.split("/")[0] for row in rows]
    hits = sum(a == b for a, b in zip(answers, truth, strict=True))
    assert len(rows) == len(embeddings) == 6
    assert metrics(folder)["val/hit@1"] == pytest.approx(hits / 6)


def test_other_numbers_of_processes_than_the_config_asks_for_are_one_line(tmp_path: Path) -> None:
    """Also: an error of rank 0 ends the other one, which says nothing and leaves nothing."""
    one, two = (started(tmp_path, str(ROOT / "train.py"), **slurm(i, 0, i)) for i in (0, 1))
    code, _, messages = ended(one)
    assert code == 2
    *_, line = messages.splitlines()
    assert "trainer.devices=1 and trainer.num_nodes=1 ask for 1 process" in line
    assert messages.count("error: ") == 1
    assert ended(two, 20) == (1, "", "")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# Trainings in small

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
    """A rank that does `acts`, lines of Python, whenever it is told to."""
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
        ("raise InputError('no such picture')", "process 1 of node 0: no such picture"),
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
    time.sleep(1)  # the other waits for us in a call that hears no signal
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
        pytest.raises(InputError, match=r"num_nodes=2: start train\.py on every node"),
        worker_pool(1, 2),
    ):
        pass


# Launchers


def test_a_job_that_a_launcher_of_hydras_runs_in_several_tasks_is_one_line(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm(1, 0, 1).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"srun has started 2 .*tasks_per_node=1"):
        run.train(composed(*TWO), tmp_path / "run")
    assert not (tmp_path / "run").exists()


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
