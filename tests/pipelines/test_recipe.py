"""How many epochs a recipe trains: steps enough for small data, and what a person states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from devise_exp.pipelines.recipe import Recipe, recipe_of

Config = Callable[..., DictConfig]
CALTECH101 = 4971  # training images of the default run


def rates(recipe: Recipe) -> list[float]:
    """The learning rate of each epoch, and the one after them."""
    optimizer = recipe.new_optimizer()([torch.nn.Parameter(torch.ones(2))])
    make = recipe.new_scheduler()
    assert make is not None
    scheduler, values = make(optimizer), []
    for _ in range(recipe.max_epochs):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*values, optimizer.param_groups[0]["lr"]]


@pytest.mark.parametrize(
    ("n_train", "overrides", "epochs"),
    [
        (CALTECH101, [], 10),  # 20 steps an epoch: the default run is as it was
        (1_000_000, [], 10),
        (100, [], 200),  # one step
        (1, [], 200),
        (257, [], 200),  # the last single row joins the batch before it
        (258, [], 100),
        (700, [], 67),  # three steps
        (CALTECH101, ["trainer=ddp", "trainer.devices=4"], 40),  # five steps on each rank
        (3, ["trainer=ddp", "trainer.devices=4"], 200),
        (700, ["training.batch_size=100"], 29),
        (700, ["training.min_steps=0"], 10),
        (700, ["training.min_steps=0", "training.min_epochs=3"], 3),
        (700, ["training.min_steps=31"], 11),
        (CALTECH101, ["+trainer.accumulate_grad_batches=4"], 40),
        (100, ["trainer=smoke"], 1),
        (100, ["trainer.max_epochs=10"], 10),
        (100, ["experiment=photos32_vgg16", "data.root=images"], 60),
    ],
)
def test_small_data_get_steps_enough_and_a_stated_number_wins(
    composed: Config, n_train: int, overrides: list[str], epochs: int
) -> None:
    recipe = recipe_of(composed(*overrides), n_train)
    assert recipe.max_epochs == epochs
    assert recipe.plain_settings().epochs == epochs
    trainer: Any = recipe.new_trainer()
    assert trainer.keywords["max_epochs"] == epochs


@pytest.mark.parametrize("overrides", [[], ["trainer.max_epochs=7"]])
def test_the_rate_falls_to_nothing_over_all_epochs(composed: Config, overrides: list[str]) -> None:
    config = composed(*overrides)
    resolved = OmegaConf.create(OmegaConf.to_yaml(config, resolve=True))  # as a run folder has it
    for variant in (config, resolved):
        recipe = recipe_of(variant, 700)
        values = rates(recipe)
        assert len(values) == (7 if overrides else 67) + 1
        assert values == sorted(values, reverse=True)
        assert values[0] == pytest.approx(1e-3)
        assert values[-2] > 1e-8 > values[-1]


@pytest.mark.parametrize("overrides", [[], ["trainer.max_epochs=8"]])
def test_a_share_of_the_epochs_has_a_schedule_of_its_length(
    composed: Config, overrides: list[str]
) -> None:
    config = composed(*overrides)
    resolved = OmegaConf.create(OmegaConf.to_yaml(config, resolve=True))  # a run that goes on
    for variant in (config, resolved):
        values = rates(recipe_of(variant, 700, 0.5))
        assert len(values) == (4 if overrides else 34) + 1
        assert values[-2] > 1e-8 > values[-1]
    assert recipe_of(composed("trainer.max_epochs=1"), 700, 0.1).max_epochs == 1
    stated: Any = recipe_of(composed("scheduler.T_max=5"), 700, 0.5).new_scheduler()
    assert stated.keywords["T_max"] == 5


def test_a_stated_length_of_the_schedule_stays(composed: Config) -> None:
    settings: Any = recipe_of(composed("scheduler.T_max=5"), 700).new_scheduler()
    assert settings.keywords["T_max"] == 5
    assert recipe_of(composed("scheduler=constant"), 700).new_scheduler() is not None


def test_a_config_of_before_these_options_trains_as_it_did(composed: Config) -> None:
    config = composed("trainer.max_epochs=10")
    OmegaConf.set_struct(config, False)
    del config.training["min_steps"], config.training["min_epochs"]
    assert recipe_of(config, 100).max_epochs == 10
