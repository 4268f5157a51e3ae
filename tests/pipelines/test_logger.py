"""A logger that fails, at its start, in between or at its end, is one warning."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.configs import ALONE, SMALL_NETWORK
from helpers.own_process import OwnProcess
from helpers.trainings import Training
from helpers.wandb import wandb_inspect
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger

from devise_exp.core.errors import InputError
from devise_exp.pipelines import run
from devise_exp.pipelines.lasting_logger import LastingLogger
from devise_exp.pipelines.logger import check_loggers, loggers_of


class Failing(CSVLogger):
    """Lightning's logger of CSV files on a disk that is full after `lasts` steps."""

    def __init__(self, folder: Path, lasts: int) -> None:
        super().__init__(folder)
        self.lasts = lasts

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.lasts -= 1
        if self.lasts < 0:
            raise OSError(28, "No space left on device")
        super().log_metrics(metrics, step)


def not_there() -> Any:
    raise PermissionError(13, "Permission denied", "/home/nobody/.config")


def test_a_logger_that_cannot_start_is_one_warning(capsys: pytest.CaptureFixture[str]) -> None:
    logger = LastingLogger(not_there)
    logger.log_hyperparams({"lr": 1.0})
    logger.log_metrics({"loss": 1.0}, step=0)
    logger.finalize("success")
    assert (logger.name, logger.version, logger.save_dir) == (None, None, None)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the logger has failed, so the run goes on without it: /home")
    assert line.endswith("logger=none leaves it out, the run folder has every metric")


@pytest.mark.parametrize("lasts", [0, 3])
def test_a_training_goes_on_without_its_logger(
    lasts: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = LastingLogger(lambda: Failing(tmp_path / "log", lasts))
    training = Training(logger=logger)
    logged, plain = training.run(tmp_path / "a"), Training().run(tmp_path / "b")
    assert logged[1] == plain[1]
    assert np.array_equal(*(m[0].projection.weight.detach().numpy() for m in (logged, plain)))
    assert capsys.readouterr().err.count("warning: the logger has failed") == 1


def test_a_sound_logger_gets_all(tmp_path: Path) -> None:
    logger = LastingLogger(lambda: CSVLogger(tmp_path, name="log"))
    Training(logger=logger).run(tmp_path / "a")
    (file,) = tmp_path.glob("log/*/metrics.csv")
    assert "val/hit@1" in file.read_text()
    assert logger.save_dir == str(tmp_path)


OFFLINE = """
import threading
from pathlib import Path
import wandb
from devise_exp.reports.wandb import logger_options

options = logger_options(Path("run").absolute(), offline=True)
options["dir"] = options.pop("save_dir")
run = wandb.init(project="x", **{k: v for k, v in options.items() if k != "offline"})
run.log({"loss": 1.0})
print(*(thread.name for thread in threading.enumerate()), sep="\\n")
print(run.settings.finish_timeout)
"""


def test_an_offline_run_asks_no_network_and_ends_in_time(tmp_path: Path) -> None:
    """W&B's reports on its own errors have threads of their own, whose names begin with Otel."""
    (tmp_path / "run").mkdir()
    out, err = OwnProcess("-c", OFFLINE, cwd=tmp_path).communicate(timeout=120)
    *threads, timeout = out.split()
    assert "MainThread" in threads, err
    assert [name for name in threads if name.startswith("Otel")] == []
    assert float(timeout) == 60.0


def test_a_logger_is_what_callbacks_ask_for(tmp_path: Path) -> None:
    logger = LastingLogger(lambda: CSVLogger(tmp_path, name="log"))
    assert isinstance(logger, CSVLogger)
    assert logger.experiment is logger.inner.experiment
    logger.attempt(lambda _: not_there())
    logger.experiment.log_image("nothing")  # a failed one takes all and does nothing


@pytest.fixture(scope="module")
def logged(
    composed: Callable[..., DictConfig], image_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a run of three epochs with all loggers at once."""
    folder = tmp_path_factory.mktemp("logged") / "run"
    config = composed(
        "data=image_folder", f"data.root={image_tree}", *SMALL_NETWORK, "projection.hidden=16",
        "trainer.max_epochs=3", "features.num_workers=0", "training.batch_size=16", *ALONE,
        "logger=[wandb,csv,tensorboard,mlflow]", "logger.wandb.log_model=true",
        "callbacks=[default,lr_monitor]",
    )  # fmt: skip
    run.train(config, folder, quietly=True)
    return folder


def of_csv(folder: Path) -> dict[str, list[float]]:
    (file,) = folder.glob("csv/version_0/metrics.csv")
    series: dict[str, list[float]] = {}
    for row in csv.DictReader(file.read_text().splitlines()):
        for key, value in row.items():
            if value:
                series.setdefault(key, []).append(float(value))
    return series


def of_tensorboard(folder: Path) -> dict[str, list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard" / "version_0"))
    events.Reload()
    return {key: [e.value for e in events.Scalars(key)] for key in events.Tags()["scalars"]}


def of_mlflow(folder: Path) -> dict[str, list[float]]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"file:{folder / 'mlruns'}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "devise-exp")
    (logged_run,) = client.search_runs([experiment.experiment_id])
    assert logged_run.info.run_name == folder.name
    names = {"val/hit1": "val/hit@1", "unseen.hit1": "unseen/hit@1"}
    return {
        names.get(key, key): [
            m.value for m in client.get_metric_history(logged_run.info.run_id, key)
        ]
        for key in logged_run.data.metrics
    }


def of_wandb(folder: Path) -> dict[str, list[float]]:
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    series: dict[str, list[float]] = {}
    for record in map(json.loads, wandb_inspect(file, "--json").splitlines()):
        for key, value in record.get("history", {}).get("item", {}).items():
            series.setdefault(key, []).append(value)
    summary = json.loads(wandb_inspect(file, "--summary", "--json"))
    text = json.dumps(summary)
    assert '"unseen/hit@1"' in text
    return series


@pytest.mark.parametrize("read", [of_csv, of_tensorboard, of_mlflow, of_wandb])
def test_each_logger_beside_the_others_has_every_epoch(
    logged: Path, read: Callable[[Path], dict[str, list[float]]]
) -> None:
    series, metrics = read(logged), json.loads((logged / "metrics.json").read_text())
    scores = series["val/hit@1"]
    assert len(scores) == 3
    assert max(scores) == pytest.approx(metrics["val/hit@1"])
    assert len(series["lr-AdamW"]) == 3
    assert len(series["train/loss"]) == 3
    if read is not of_wandb:  # whose summary has them
        assert series["unseen/hit@1"] == [pytest.approx(metrics["unseen/hit@1"])]


def test_checkpoint_and_run_folder_are_artifacts_of_wandb_on_request(logged: Path) -> None:
    (file,) = logged.glob("wandb/offline-run-*/run-*.wandb")
    records = [json.loads(line) for line in wandb_inspect(file, "--json").splitlines()]
    text = json.dumps([r for r in records if "artifact" in json.dumps(r)])
    identity = file.stem.removeprefix("run-")
    assert f"model-{identity}" in text
    assert f"run-{identity}" in text
    assert "checkpoints/best.ckpt" in text
    assert "metrics.json" in text


def test_a_run_of_before_has_one_logger(composed: Callable[..., DictConfig]) -> None:
    before = OmegaConf.create({"logger": {"_target_": "a.WandbLogger", "offline": True}})
    assert list(loggers_of(before)) == ["wandb"]
    assert loggers_of(OmegaConf.create({"logger": None})) == {}
    assert list(loggers_of(composed("logger=[wandb,csv]"))) == ["wandb", "csv"]
    with pytest.raises(InputError, match=r"logger.mine: give a logger, \+logger.mine._target_="):
        loggers_of(composed("+logger.mine=3"))


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_one_line(
    name: str, composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_loggers(composed(f"logger={name}"))
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"logger={name} needs .*devise-exp\[{name}\]"):
        check_loggers(composed(f"logger={name}"))
