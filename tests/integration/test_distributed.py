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
from devise_exp.runs import gallery
from devise_exp.training.checkpoint import read_checkpoint
from devise_exp.training.distributed import launchers
from devise_exp.training.distributed.launchers import (
    LaunchedProcess,
    connect_leader,
    connect_worker,
    from_environment,
)
from devise_exp.training.distributed.ranks import StageRequest
from devise_exp.training.distributed.workers import WorkerPool, installed, worker_pool

VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "DEVISE_LEADER")
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


def slurm(rank: int, node: int, local: int, world: int = 2) -> dict[str, str]:
    """What srun tells a process of a step."""
    return {
        "SLURM_JOB_ID": str(os.getpid()),  # the port follows from it
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(world),
        "SLURM_PROCID": str(rank),
        "SLURM_NODEID": str(node),
        "SLURM_LOCALID": str(local),
    }


def started(place: Path, *arguments: str, **more: str) -> OwnProcess:
    """A process with one thread and a cache of its own under `place`, where it works."""
    place.mkdir(exist_ok=True)
    own = {"DEVISE_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return OwnProcess(*arguments, cwd=place, **own, **more)


def ended(process: OwnProcess, seconds: float = 400) -> tuple[int | None, str, str]:
    """Its exit code, output and messages."""
    output, messages = process.communicate(seconds)
    return process.returncode, output, messages


def last(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = read_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]
    return found


def figures(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "metrics.json").read_text())
    return found


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
    train, own = str(ROOT / "train.py"), (data, *SMALL, *TWO, BATCH)
    sweep = [train, "-m", *own, f"loss={','.join(LOSSES)}", "hydra.sweep.dir=sweep"]
    nodes = [train, *own, "loss=cosine", "trainer.devices=1", "trainer.num_nodes=2"]
    processes = [
        started(base / "own", *sweep),
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
    assert messages[3] == ""  # a follower has nothing to say
    return {
        "own": [base / "own/sweep" / number for number in "01"],
        "torchrun": [base / "torchrun/sweep" / number for number in "01"],
        "srun": [base / "srun/run"],
        "one": [base / f"16-{loss}" for loss in LOSSES],
        "half": [base / "8-cosine"],
    }


@pytest.mark.parametrize("job", [0, 1])
def test_two_ranks_train_as_one_process_with_both_batches(trained: Trained, job: int) -> None:
    """Each job of a sweep by its own settings on both ranks, or the weights would be others."""
    two, one = last(trained["own"][job]), last(trained["one"][job])
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)
    assert read_checkpoint(trained["own"][job] / "checkpoints/last.ckpt")["epoch"] == 1
    config = OmegaConf.load(trained["own"][job] / "config.yaml")
    assert config.loss._target_.split(".")[-1] == LOSSES[job]


def test_neither_the_batches_of_one_rank_nor_another_loss_train_so(trained: Trained) -> None:
    two = last(trained["own"][0])["projection.weight"]
    for folder in (trained["half"][0], trained["own"][1]):
        assert (last(folder)["projection.weight"] - two).abs().max() > 1e-2


@pytest.mark.parametrize(("launcher", "job"), [("torchrun", 0), ("torchrun", 1), ("srun", 0)])
def test_a_launcher_changes_neither_weights_nor_figures(
    trained: Trained, launcher: str, job: int
) -> None:
    own, launched = trained["own"][job], trained[launcher][job]
    for name, tensor in last(own).items():
        torch.testing.assert_close(last(launched)[name], tensor, atol=0, rtol=0)
    assert figures(launched) == figures(own)


@pytest.mark.parametrize("launcher", ["own", "torchrun", "srun"])
def test_a_bank_that_ranks_have_shared_is_that_of_one_process(
    trained: Trained, launcher: str
) -> None:
    folder = trained[launcher][0].parents[launcher != "srun"]
    [shared] = (folder / "cache/features").glob("*/features.npy")
    alone = Path(os.environ["DEVISE_CACHE"]) / "features" / shared.parent.name / "features.npy"
    assert shared.read_bytes() == alone.read_bytes()
    assert not list((folder / "cache/features").glob("*.unfinished"))


def test_a_follower_leaves_no_folder_of_its_own(trained: Trained) -> None:
    place = trained["srun"][0].parent
    assert {path.name for path in place.iterdir()} == {"cache", "outputs", "run"}
    assert [path.name for path in (place / "outputs").iterdir()] == ["latest"]


@pytest.mark.parametrize("job", [0, 1])
def test_the_validation_figure_is_that_of_every_row_once(trained: Trained, job: int) -> None:
    folder = trained["own"][job]
    classes = json.loads((folder / "classes.json").read_text())
    seen = [i for i, entry in enumerate(classes) if entry["seen"]]
    vectors = np.load(folder / "class_vectors.npy")[seen]
    # The gallery has directions from the centre; each embedding is the unit vector on that line.
    away = gallery.load(folder / "gallery", "devise").part("val").index.vectors.astype(float)
    along = away @ vectors.mean(axis=0)
    steps = np.sqrt(along**2 + 1 - (vectors.mean(axis=0) ** 2).sum()) - along
    embeddings = vectors.mean(axis=0) + steps[:, None] * away
    rows = json.loads((folder / "split.json").read_text())["val"]
    found = [classes[seen[i]]["name"] for i in (embeddings @ vectors.T).argmax(axis=1)]
    truth = [row.split("/")[0] for row in rows]
    hits = sum(a == b for a, b in zip(found, truth, strict=True))
    assert len(rows) == len(embeddings) == 6
    assert figures(folder)["val/hit@1"] == pytest.approx(hits / 6)


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
from devise_exp.training.distributed import ranks
from devise_exp.training.module import DeviseModule
from devise_exp.training.batches import FeatureInputs, RowBatches
from devise_exp.training.lightning import fit_with_lightning


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
    return fit_with_lightning(module, make, rows, rows, Path(folder), seed=0, batch_size=8)


if __name__ == "__main__":
    ranks.serve_stages(ranks.parent(), lambda order, seat: main(order.run, order.stage))
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
        installed(WorkerPool(2, child=[str(path)])) as made,
        pytest.raises(InputError, match=reason),
        made.training(StageRequest(how, "", str(tmp_path))),
    ):
        small.main(tmp_path, how)
    assert no_trace()
    with (
        pytest.raises(InputError, match="lost when an earlier job of this sweep failed"),
        made.training(StageRequest(how, "", str(tmp_path))),
    ):
        pass


def program(*acts: str) -> list[str]:
    """A rank that does `acts`, lines of Python, whenever it is told to."""
    head = (
        "import os, time, torch.distributed as dist\n"
        "from devise_exp.training.distributed import ranks\n"
    )
    body = "".join(f"    {line}\n" for line in acts)
    tail = "ranks.serve_stages(ranks.parent(), act)"
    return ["-c", f"{head}def act(order, seat):\n{body}{tail}"]


ADDS = (
    "ranks.send_ready()",
    "dist.init_process_group('gloo', rank=seat.rank, world_size=seat.world)",
)


@pytest.fixture
def begun() -> Iterator[Callable[..., WorkerPool]]:
    """begun(acts...) -> a crew of two whose other rank does them."""
    crews: list[WorkerPool] = []

    def make(*acts: str, size: int = 2) -> WorkerPool:
        crews.append(WorkerPool(size, child=program(*acts)))
        return crews[-1]

    yield make
    for each in crews:
        each.close()
    assert no_trace()


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("exit(1)", "has died"),
        ("os._exit(0)", "has died"),
        ("raise ranks.InputError('no such picture')", "process 1 of node 0: no such picture"),
        ("1 / 0", "process 1 of node 0 ended with an error: see its message above"),
    ],
)
def test_a_rank_that_never_comes_is_an_error_before_anything_is_trained(
    begun: Callable[..., WorkerPool], act: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    entered = False
    with pytest.raises(InputError, match=reason), begun(act).training(StageRequest("map", "")):
        entered = True
    assert not entered
    assert ("ZeroDivisionError" in capfd.readouterr().err) == ("/" in act)


def test_a_rank_that_ends_badly_after_all_is_an_error(begun: Callable[..., WorkerPool]) -> None:
    entered = False
    with (
        pytest.raises(InputError, match="has died"),
        begun("ranks.send_ready()", "os._exit(3)").training(StageRequest("map", "")),
    ):
        entered = True
    assert entered


def test_ranks_stay_for_every_order_and_meet_anew_for_each(
    begun: Callable[..., WorkerPool], tmp_path: Path
) -> None:
    note = "open(order.run, 'a').write(f'{os.getpid()} {seat.rank} {order.config}\\n')"
    made = begun(*ADDS, "dist.barrier()", note)
    for config in ("a: 1", "a: 2"):
        with made.training(StageRequest("map", config, str(tmp_path / "note"))):
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
            installed(
                WorkerPool(2, child=program(note, "ranks.send_ready()", "time.sleep(600)"))
            ) as made,
            made.training(StageRequest("map", "")),
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
        with begun(*ADDS, "dist.barrier()").training(StageRequest("map", "")):
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
import os, time, devise_exp.training.distributed.workers as processes
with processes.WorkerPool(2, child={child!r}).training(processes.StageRequest("map", "")):
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
import torch.distributed, devise_exp.training.distributed.workers as processes
processes._GRACE = 2.0
child = {program("ranks.send_ready()", "os._exit(3)")!r}
with processes.WorkerPool(2, child=child).training(processes.StageRequest("map", "")):
    torch.distributed.init_process_group("gloo", rank=0, world_size=2)  # waits for rank 1
"""
    code_, _, messages = ended(started(tmp_path, "-c", code))
    assert code_ == 2
    assert "error: the process 1 of node 0 has died" in messages


def test_one_process_starts_no_other() -> None:
    with worker_pool(1) as made, made.training(StageRequest("map", "")):
        assert not made.followers
        assert no_trace()


def test_the_ranks_at_hand_must_be_those_that_the_config_asks_for() -> None:
    with installed(WorkerPool(2, 3, [])) as made:
        with worker_pool(2, 3) as found:
            assert found is made
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
    assert from_environment(elastic) == LaunchedProcess("torchrun", 5, 8, 2, 1, "gpu01", 29500)
    assert from_environment({**elastic, "TORCHELASTIC_USE_AGENT_STORE": "True"}) == LaunchedProcess(
        "torchrun", 5, 8, 2, 1, "gpu01", 29500, store=True
    )
    assert from_environment({**elastic, **slurm(0, 0, 0)}) == from_environment(
        elastic
    )  # torchrun in an srun
    step = slurm(3, 1, 0, 4) | {"SLURM_JOB_ID": "12", "SLURM_STEP_ID": "2"}
    assert from_environment(step) == LaunchedProcess("srun", 3, 4, 1, 0, "localhost", 15194)
    given = {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "4000"}
    assert from_environment(step | given) == LaunchedProcess("srun", 3, 4, 1, 0, "10.0.0.7", 4000)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        slurm(0, 0, 0, world=1),
        {k: v for k, v in slurm(0, 0, 0).items() if "STEP" not in k},  # a batch script without srun
    ],
)
def test_one_process_is_nobodys_rank(environment: dict[str, str]) -> None:
    assert from_environment(environment) is None


def test_variables_that_are_not_whole_are_one_line() -> None:
    broken = {k: v for k, v in slurm(0, 0, 0).items() if k != "SLURM_LOCALID"}
    with pytest.raises(InputError, match=r"not whole .*SLURM_LOCALID"):
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
    place = from_environment(slurm(0, 0, 0) | {"SLURM_STEP_NODELIST": nodes})
    assert place is not None
    assert place.address == first


def together(*seats: tuple[int, int]) -> WorkerPool:
    """Places on (node, local) that meet in threads of this process; the crew of the first."""
    environments = [slurm(i, *seat, len(seats)) for i, seat in enumerate(seats)]
    places = [place for each in environments if (place := from_environment(each)) is not None]
    others = [threading.Thread(target=connect_worker, args=(p,)) for p in places[1:]]
    for each in others:
        each.start()
    try:
        return connect_leader(places[0])
    finally:
        for each in others:
            each.join()


def test_processes_meet_in_whatever_order_the_launcher_has_dealt_them() -> None:
    made = together((0, 0), (1, 0), (0, 1), (1, 1))
    assert (made.devices, made.nodes) == (2, 2)
    seats = [made._seat(each.node, each.local) for each in made.followers]
    assert sorted(seat.rank for seat in seats) == [1, 2, 3]


def test_unlike_numbers_of_processes_on_the_nodes_are_one_line() -> None:
    with pytest.raises(InputError, match="srun has started 3 processes, not as many on each of 2"):
        together((0, 0), (0, 1), (1, 0))


def test_processes_that_do_not_come_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "_PATIENCE", 0.5)
    first, second = from_environment(slurm(0, 0, 0)), from_environment(slurm(1, 0, 1))
    assert first is not None
    assert second is not None
    with pytest.raises(InputError, match=r"where the processes meet: .*MASTER_PORT"):
        connect_worker(second)
    with pytest.raises(InputError, match="1 of 2 processes came"):
        connect_leader(first)
    store = launchers._store(first)  # torchrun's own is there before any process
    with pytest.raises(InputError, match="first of 2 processes did not come"):
        connect_worker(second)
    del store
