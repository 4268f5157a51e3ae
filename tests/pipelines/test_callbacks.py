"""A user's callbacks stand beside this project's own, which can be put out one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from helpers.trainings import FEATURE_DIM, SGD, Watch, bank, same, weights
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, Timer

from devise_exp.core.errors import InputError
from devise_exp.methods import losses, projection
from devise_exp.pipelines.callbacks import check_trainer, user_callbacks
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.training.checkpoint import BEST, LAST
from devise_exp.training.lightning import FitSettings, fit_with_lightning
from devise_exp.training.module import DeviseModule


def fitted(
    folder: Path,
    *without: str,
    epochs: int = 4,
    callbacks: tuple[Callback, ...] = (),
    trainer_options: Mapping[str, Any] | None = None,
) -> tuple[DeviseModule, Any, list[Callback]]:
    """A small training, what it came to, and the callbacks that its trainer had."""
    torch.manual_seed(3)
    data = bank(noise=2.0)
    all_callbacks: list[Callback] = []
    vectors = torch.from_numpy(data.class_vectors)
    linear = projection.linear(FEATURE_DIM, vectors.shape[1])
    module = DeviseModule(linear, losses.softmax, vectors, SGD)

    class Sees(Callback):
        def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            all_callbacks.extend(trainer.callbacks)

    settings = FitSettings(
        batch_size=16, patience=None, callbacks=(Sees(), *callbacks), without=frozenset(without)
    )
    options = {"devices": 1, "max_epochs": epochs, **(trainer_options or {})}
    make = partial(pl.Trainer, accelerator="cpu", **options)
    result = fit_with_lightning(module, make, *data.rows(), folder, 3, settings)
    return module, result, all_callbacks


def names(callbacks: list[Callback]) -> list[str]:
    return sorted(type(callback).__name__ for callback in callbacks)


def test_callbacks_of_group_and_trainer_are_added_to_ours(tmp_path: Path) -> None:
    watch = Watch()
    options = {"callbacks": Timer(), "log_every_n_steps": 7}
    module, _, callbacks = fitted(tmp_path, callbacks=(watch,), trainer_options=options)
    ours = ["BestAndLast", "KeepSigterm", "SeedEpoch"]
    assert names(callbacks) == sorted([*ours, "Sees", "Timer", "Watch"])
    assert len(watch.scores) == 4
    assert module.trainer.log_every_n_steps == 7


@pytest.mark.parametrize(
    ("name", "callback"),
    [("checkpoints", "BestAndLast"), ("seed_epoch", "SeedEpoch"), ("keep_sigterm", "KeepSigterm")],
)
def test_each_of_ours_can_be_put_out(tmp_path: Path, name: str, callback: str) -> None:
    ours = {"BestAndLast", "SeedEpoch", "KeepSigterm"}
    _, result, callbacks = fitted(tmp_path, name, epochs=2)
    assert ours - set(names(callbacks)) == {callback}
    assert result.epochs == 2


def test_without_checkpoints_the_last_epoch_is_the_result(tmp_path: Path) -> None:
    watch = Watch()
    module, result, _ = fitted(tmp_path / "a", "checkpoints", epochs=10, callbacks=(watch,))
    assert watch.scores.index(max(watch.scores)) < 9  # the data were chosen so
    assert (result.epoch, result.score) == (9, pytest.approx(watch.scores[-1]))
    assert not (tmp_path / "a" / LAST).exists()
    assert same(module.state_dict(), weights(tmp_path / "a" / BEST))
    fitted(tmp_path / "b", epochs=10)
    assert same(weights(tmp_path / "a" / BEST), weights(tmp_path / "b" / LAST))


def test_the_config_says_which(composed: Callable[..., DictConfig]) -> None:
    config = composed("callbacks=[default,lr_monitor]", "callbacks.progress_bar=false")
    assert names(list(user_callbacks(config))) == ["LearningRateMonitor"]
    recipe = recipe_of(config, 100)
    assert recipe.without == {"progress_bar"}
    assert names(list(recipe.new_callbacks())) == ["LearningRateMonitor"]
    assert names(list(user_callbacks(composed("callbacks=lr_monitor")))) == ["LearningRateMonitor"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("+callbacks.mine=3", r"callbacks.mine=3: give a callback, \+callbacks.mine._target_="),
        ("callbacks.checkpoints=maybe", "callbacks.checkpoints=maybe: give true or false"),
        ("+callbacks.mine._target_=torch.nn.Flatten", "gives a Flatten: give a callback"),
        ("+callbacks.mine._target_=math.sqrt", "callbacks.mine: math.sqrt failed: "),
    ],
)
def test_what_is_no_callback_is_one_line(
    composed: Callable[..., DictConfig], override: str, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        user_callbacks(composed(override))


def test_what_another_option_decides_is_not_dropped_without_a_word(
    composed: Callable[..., DictConfig],
) -> None:
    check_trainer(composed())
    for key in ("logger", "enable_checkpointing"):
        with pytest.raises(InputError, match=f"trainer.{key}: "):
            check_trainer(composed(f"+trainer.{key}=false"))
