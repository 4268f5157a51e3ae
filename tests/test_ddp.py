"""Training on two processes: as one would train, also in sweeps, and an error if a rank fails."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from conftest import ALONE
from omegaconf import DictConfig, OmegaConf

from devise_exp import gallery, run
from devise_exp.checkpoint import read_checkpoint
from devise_exp.errors import InputError
from devise_exp.processes import launched

ROOT = Path(__file__).parents[1]
VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "DEVISE_READY")
SMALL = (
    "backbone=resnet18",
    "backbone.weights=null",
    "word_vectors=random",
    "projection=linear",
    "loss=cosine",
    "optimizer=sgd",
    "logger=none",
    "index=exact",
    *ALONE,
    "trainer.max_epochs=2",
)
TWO = ("trainer=ddp", "trainer.accelerator=cpu")
# Per process; 6 seen classes of 7 pictures to train on make 42 rows, 21 for each of two ranks.
JOBS = (
    {"training.batch_size": 8, "optimizer.lr": 0.3, "loss": "cosine"},
    {"training.batch_size": 6, "optimizer.lr": 0.05, "loss": "softmax"},
)


def overrides(job: dict[str, object], factor: int = 1) -> list[str]:
    doubled = {**job, "training.batch_size": factor * int(str(job["training.batch_size"]))}
    return [f"{key}={value}" for key, value in doubled.items()]


def last(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = read_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]
    return found


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    picture_tree: Path,
    composed: Callable[..., DictConfig],
) -> dict[str, list[tuple[Path, dict[str, float]]]]:
    """Both jobs, one after the other in this process: on two ranks, on one with the batches of both
    ranks together, and the first also on one with batches of half that size.
    """
    results: dict[str, list[tuple[Path, dict[str, float]]]] = {"two": [], "one": [], "half": []}
    for name, more, factor, jobs in (
        ("two", TWO, 1, JOBS),
        ("one", (), 2, JOBS),
        ("half", (), 1, JOBS[:1]),
    ):
        for job in jobs:
            config = composed(
                "data=image_folder",
                f"data.root={picture_tree}",
                *SMALL,
                *more,
                *overrides(job, factor),
            )
            folder = tmp_path_factory.mktemp(name)
            results[name].append((folder, run.train(config, folder)))
            assert not [variable for variable in VARIABLES if variable in os.environ]
            assert not torch.distributed.is_initialized()
    return results


@pytest.mark.parametrize("job", [0, 1])
def test_two_ranks_train_as_one_process_with_both_batches(trained: dict, job: int) -> None:
    two, one = (last(trained[name][job][0]) for name in ("two", "one"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)
    assert read_checkpoint(trained["two"][job][0] / "checkpoints/last.ckpt")["epoch"] == 1


def test_neither_the_batches_of_one_rank_nor_other_settings_train_so(trained: dict) -> None:
    two = last(trained["two"][0][0])["projection.weight"]
    for folder in (trained["half"][0][0], trained["two"][1][0]):
        assert (last(folder)["projection.weight"] - two).abs().max() > 1e-2


@pytest.mark.parametrize("job", [0, 1])
def test_the_validation_figure_is_that_of_every_row_once(trained: dict, job: int) -> None:
    folder, figures = trained["two"][job]
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
    assert figures["val/hit@1"] == pytest.approx(hits / 6)


def test_a_sweep_gives_each_job_its_own_settings_on_every_rank(
    tmp_path: Path, picture_tree: Path, trained: dict
) -> None:
    command = [sys.executable, str(ROOT / "train.py"), "-m", "data=image_folder"]
    command += [f"data.root={picture_tree}", *SMALL, *TWO, "hydra.sweep.dir=sweep"]
    command += [part for part in overrides(JOBS[0]) if not part.startswith("loss=")]
    done = subprocess.run(
        [*command, "loss=cosine,softmax"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    cosine, softmax = (tmp_path / "sweep" / number for number in "01")
    assert [
        OmegaConf.load(f / "config.yaml").loss._target_.split(".")[-1] for f in (cosine, softmax)
    ] == [
        "cosine",
        "softmax",
    ]
    expected = last(trained["two"][0][0])  # the same settings, in this process
    for name, tensor in last(cosine).items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(last(softmax)["projection.weight"], expected["projection.weight"])


CHILD = """
import os, sys
from functools import partial
from pathlib import Path
import numpy as np, pytorch_lightning as pl, torch
from devise_exp import losses, projection
from devise_exp.errors import command
from devise_exp.module import DeviseModule
from devise_exp.batches import BankRows, Rows
from devise_exp.training import fit


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
    rows = Rows(BankRows(rng.normal(size=(64, 4))), np.arange(64), rng.integers(0, 3, 64))
    vectors = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(3, 2)).astype("f4")))
    sgd = partial(torch.optim.SGD, lr=0.1)
    module = DeviseModule(projection.linear(4, 2), losses.cosine, vectors, sgd)
    def make(callbacks, **given):
        return pl.Trainer(accelerator="cpu", devices=2, strategy="ddp", max_epochs=2,
                          callbacks=[*callbacks, Fails()], **given)
    return fit(module, make, rows, rows, Path(folder), seed=0, batch_size=8)


if __name__ == "__main__":
    command(lambda: main(*sys.argv[1:]))()
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


@pytest.mark.parametrize("how", ["dies", "nan"])
def test_a_rank_that_fails_in_the_middle_ends_the_training_with_an_error(
    tmp_path: Path, child: tuple[Path, ModuleType], how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path, small = child
    with (
        pytest.raises(InputError, match="a training process ended with an error"),
        launched(2, [str(path), str(tmp_path), how]),
    ):
        small.main(tmp_path, how)
    if how == "nan":
        assert "error: the loss became nan" in capfd.readouterr().err
    assert not [variable for variable in VARIABLES if variable in os.environ]
    assert not torch.distributed.is_initialized()


def test_a_rank_that_never_starts_to_train_is_an_error_before_anything_is_trained() -> None:
    entered = False
    with (
        pytest.raises(InputError, match="a training process ended"),
        launched(2, ["-c", "exit(1)"]),
    ):
        entered = True
    assert not entered
    assert not [variable for variable in VARIABLES if variable in os.environ]


READY = "import os, time; os.write(int(os.environ['DEVISE_READY']), b'1'); "


def test_a_rank_that_ends_badly_after_all_is_an_error() -> None:
    entered = False
    with (
        pytest.raises(InputError, match="a training process"),
        launched(2, ["-c", READY + "exit(3)"]),
    ):
        entered = True
    assert entered


def test_an_error_of_rank_0_stops_the_others_and_stays_what_it_is(tmp_path: Path) -> None:
    note = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); "
    sleeper = ["-c", "import os; " + note + READY + "time.sleep(600)"]

    def rank_0() -> None:
        with launched(2, sleeper):
            assert os.environ["LOCAL_RANK"] == "0"
            assert os.environ["WORLD_SIZE"] == "2"
            raise InputError("mine")

    with pytest.raises(InputError, match="mine"):
        rank_0()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_every_rank_gets_its_number_and_the_same_meeting_point(tmp_path: Path) -> None:
    names = ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT")
    code = (
        "import os, json; "
        f"place = {str(tmp_path)!r} + '/' + os.environ['LOCAL_RANK']; "
        f"json.dump([os.environ[n] for n in {names!r}], open(place, 'w')); "
    )
    with launched(3, ["-c", code + READY]):
        port = os.environ["MASTER_PORT"]
    for rank in "12":
        assert json.loads((tmp_path / rank).read_text()) == [rank, "3", port]


def test_nothing_is_started_for_one_process_nor_by_a_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    with launched(1, ["-c", "exit(1)"]):
        assert "LOCAL_RANK" not in os.environ
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(InputError, match=r"start train\.py once"), launched(2, ["-c", "exit(1)"]):
        pass
    assert os.environ["LOCAL_RANK"] == "1"


def test_a_process_stuck_in_a_call_that_hears_no_signal_ends_when_a_rank_has_died() -> None:
    program = f"""
import torch.distributed, devise_exp.processes as processes
processes._GRACE = 2.0
with processes.launched(2, ["-c", {READY + "exit(3)"!r}]):
    torch.distributed.init_process_group("gloo", rank=0, world_size=2)  # waits for rank 1
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "error: a training process ended with an error" in done.stderr
