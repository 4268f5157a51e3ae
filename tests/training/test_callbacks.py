"""Checkpoints, whole files and SIGTERM during a training."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from helpers.trainings import Training, Watch, bank, same, weights
from pytorch_lightning.callbacks import Callback

from devise_exp.training.checkpoint import BEST, LAST, read_checkpoint


def test_sigterm_means_during_a_training_what_it_meant_before(tmp_path: Path) -> None:
    """Lightning's own handler would speak to other ranks in the middle of their steps."""
    heard = []

    class Handler(Callback):
        def on_train_batch_start(self, *given: Any) -> None:
            heard.append(signal.getsignal(signal.SIGTERM))

    def handler(number: int, frame: Any) -> None:
        raise SystemExit(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        Training(bank(), epochs=1).run(tmp_path, Handler())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert set(heard) == {handler}


def test_the_best_epoch_is_kept_the_last_of_equals_and_the_last_epoch_beside_it(
    tmp_path: Path,
) -> None:
    hard = Training(bank(noise=2.0), epochs=10)
    watch = Watch(hard.data)
    module, best = hard.run(tmp_path, watch)
    highest = max(watch.scores)
    last = 9 - watch.scores[::-1].index(highest)
    assert watch.scores.index(highest) < last < 9  # the data were chosen so
    assert best.score == pytest.approx(highest)
    assert (best.epoch, best.epochs, best.steps) == (last, 10, 10 * 6)  # 90 rows in batches of 16
    assert read_checkpoint(tmp_path / BEST)["epoch"] == last
    assert read_checkpoint(tmp_path / LAST)["epoch"] == 9
    assert same(module.state_dict(), weights(tmp_path / BEST))
    assert hard.data.hit_at_1(module) == pytest.approx(highest)
    assert not same(weights(tmp_path / LAST), weights(tmp_path / BEST))
    assert sorted(p.name for p in tmp_path.iterdir()) == [BEST, LAST]


class _FailsToSave(Callback):
    """Has a state that cannot be saved from an epoch on."""

    def __init__(self, epoch: int) -> None:
        self.epoch, self.now = epoch, 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.now = trainer.current_epoch

    def state_dict(self) -> dict[str, Any]:
        return {} if self.now < self.epoch else {"state": lambda: None}


def test_a_write_that_fails_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    whole, _ = Training().run(tmp_path / "whole")
    with pytest.raises((AttributeError, TypeError, RuntimeError), match=r"pickle|local object"):
        Training().run(tmp_path / "parts", _FailsToSave(2))
    assert read_checkpoint(tmp_path / "parts" / LAST)["epoch"] == 1
    assert {p.name for p in (tmp_path / "parts").iterdir()} == {BEST, LAST}
    parts, _ = Training().run(tmp_path / "parts")
    assert same(parts.state_dict(), whole.state_dict())


def test_checkpoints_do_not_go_by_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It may lie on another file system, from which a rename is a copy.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    Training(epochs=1).run(tmp_path / "run")
    assert read_checkpoint(tmp_path / "run" / LAST)["epoch"] == 0
