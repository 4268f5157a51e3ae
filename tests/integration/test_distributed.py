"""Whole runs on several processes: the results of one process, whoever started them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import ALONE
from helpers.paths import ROOT
from helpers.ranks import ended, slurm, started
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.pipelines import run
from devise_exp.runs import gallery_files
from devise_exp.training.checkpoint import read_checkpoint

SMALL = (
    "data=image_folder",
    "word_vectors=random",
    "projection=linear",
    "optimizer=sgd",
    "optimizer.lr=0.3",
    "logger=none",
    "index=exact",
    *ALONE,
    "training.min_epochs=1",
    "training.min_steps=3",  # two epochs of the two steps that each of two ranks takes
    "features.num_workers=0",
    "subset.limit_per_class=6",
    "features.batch_size=5",  # 48 rows: the last of 10 batches is rank 1's, and a short one
)


TWO = ("trainer=ddp", "trainer.accelerator=cpu")


LOSSES = ("cosine", "softmax")


# Per process; 6 seen classes of 4 images to train on make 24 rows, 12 for each of two ranks.
BATCH = "training.batch_size=8"


TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2")


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
        *(
            started(base / "srun", *nodes, "hydra.run.dir=run", **slurm(i, i, 0, nodes=2))
            for i in (0, 1)
        ),
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


FAILING = """
import os, signal
import torch.distributed as dist
from devise_exp.core.errors import InputError
from devise_exp.methods.losses import cosine

def bad_input(*args, **options):
    if dist.get_rank() == 1:
        raise InputError("rank 1 cannot read its images")
    return cosine(*args)

def killed(*args, **options):
    if dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return cosine(*args)
"""


def failing(folder: Path, image_tree: Path) -> tuple[str, ...]:
    """Overrides of a run on two ranks with a loss of one's own, in `folder`, where it works."""
    folder.mkdir(exist_ok=True)
    (folder / "failing.py").write_text(FAILING)
    return (f"data.root={image_tree}", *SMALL, *TWO, BATCH, "loss=cosine")


def test_a_job_whose_rank_fails_is_a_row_and_the_grid_goes_on(
    image_tree: Path, tmp_path: Path
) -> None:
    overrides = failing(tmp_path, image_tree)
    losses = "failing.bad_input,failing.killed,devise_exp.methods.losses.cosine"
    grid = ["-m", *overrides, f"loss._target_={losses}", "hydra.sweep.dir=grid"]
    process = started(tmp_path, str(ROOT / "train.py"), *grid)
    code, output, messages = ended(process)
    assert code == 1
    lines = [line for line in messages.splitlines() if line.startswith("job ")]
    reasons = ["process 1: rank 1 cannot read its images", r"process 1 has died (exit code -9): "]
    for job, (line, reason) in enumerate(zip(lines, reasons, strict=True)):
        assert line.startswith(f"job {job} failed: {reason}")
    assert "Traceback" not in messages
    assert not (tmp_path / "grid/0/metrics.json").exists()
    assert metrics(tmp_path / "grid/2")
    assert "3 jobs, 2 failed" in output + messages


def test_a_rank_of_torchrun_that_fails_ends_all_with_its_reason(
    image_tree: Path, tmp_path: Path
) -> None:
    overrides = failing(tmp_path, image_tree)
    options = [*overrides, "loss._target_=failing.bad_input", "hydra.run.dir=run"]
    arguments = [*TORCHRUN, str(ROOT / "train.py"), *options]
    code, _, messages = ended(started(tmp_path, *arguments))
    assert code == 1  # torchrun's
    assert messages.count("error: rank 1 cannot read its images") == 1
    advice = f"terminated: the run is not finished; go on with: python {ROOT / 'train.py'} resume="
    assert messages.count(advice) == 1  # by rank 0, which torchrun has ended
    assert not (tmp_path / "run/metrics.json").exists()


def test_a_series_on_two_ranks_that_is_stopped_goes_on_to_the_same_weights(
    image_tree: Path, tmp_path: Path, composed: Callable[..., DictConfig]
) -> None:
    few = [option for option in SMALL if not option.startswith("training.min")]
    overrides = [f"data.root={image_tree}", *few, "loss=cosine", "trainer.max_epochs=60"]
    run.train(
        composed(*overrides, "training.batch_size=16", "seed=1"), tmp_path / "one", quietly=True
    )
    train, folder = str(ROOT / "train.py"), tmp_path / "series"
    options = [*overrides, *TWO, BATCH, "seeds=2", "hydra.run.dir=series"]
    process = started(tmp_path, train, *options)
    while not (folder / "seed=1/checkpoints/last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    code, _, messages = ended(process)
    assert code == 143, messages
    advice = f"the series is not finished; go on with: python {train} resume={folder}"
    assert messages.splitlines()[-1] == f"terminated: {advice}"
    assert not (folder / "seed=1/metrics.json").exists()
    assert {path.name for path in folder.rglob(".*")} == {".hydra"}  # no half of a file
    code, _, messages = ended(started(tmp_path, train, f"resume={folder}"))
    assert code == 0, messages
    assert read_checkpoint(folder / "seed=1/checkpoints/last.ckpt")["epoch"] == 59
    for name, tensor in last(tmp_path / "one").items():
        torch.testing.assert_close(last(folder / "seed=1")[name], tensor, atol=1e-4, rtol=1e-3)


def test_other_numbers_of_processes_than_the_config_asks_for_are_one_line(tmp_path: Path) -> None:
    """Also: an error of rank 0 ends the other one, which says nothing and leaves nothing."""
    one, two = (started(tmp_path, str(ROOT / "train.py"), **slurm(i, 0, i)) for i in (0, 1))
    code, _, messages = ended(one)
    assert code == 2
    *_, line = messages.splitlines()
    assert "trainer.devices=1 and trainer.num_nodes=1 ask for 1 process" in line
    assert messages.count("error: ") == 1
    assert ended(two) == (1, "", "")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if not path.is_relative_to(tmp_path / "cache")]


def test_a_job_that_a_launcher_of_hydras_runs_in_several_tasks_is_one_line(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm(1, 0, 1).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=r"srun has started 2 .*tasks_per_node=1"):
        run.train(composed(*TWO), tmp_path / "run")
    assert not (tmp_path / "run").exists()
