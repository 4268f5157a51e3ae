"""A logger that fails, at its start, in between or at its end, is one warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.own_process import OwnProcess
from helpers.trainings import Training
from pytorch_lightning.loggers import CSVLogger

from devise_exp.pipelines.logger import LastingLogger


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
