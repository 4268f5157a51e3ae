"""Plain options of a config: typed, and refused in one line before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.configs import FEW
from helpers.paths import ROOT
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.pipelines.option_errors import as_written, check_option
from devise_exp.pipelines.option_kinds import FromOne
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.pipelines.series import train_series
from devise_exp.pipelines.settings import read_settings

Config = Callable[..., DictConfig]
WHOLE = {  # option -> whether null is right
    "seed": False, "ks": True, "class_folds": False, "seeds": False, "split_seeds": False,
    "subset.min_images": True, "subset.limit_per_class": True, "features.batch_size": True,
    "features.num_workers": True, "training.batch_size": False, "training.patience": True,
    "training.num_workers": False, "training.min_epochs": False, "training.min_steps": False,
    "trainer.accumulate_grad_batches": False, "tuning.max_epochs": False,
    "tuning.batch_size": False, "tuning.num_workers": False, "trainer.max_epochs": True,
    "trainer.num_nodes": False,
}  # fmt: skip
REAL = {"tuning.backbone_lr_factor": False, "trainer.gradient_clip_val": True}
WRONG = (True, -1, 1.5, "x", None, float("inf"), [True], {"a": 1})


def wrong_values() -> list[tuple[str, object]]:
    pairs = [(key, value) for key in (*WHOLE, *REAL) for value in WRONG]
    return [
        (key, value)
        for key, value in pairs
        if not (value is None and (WHOLE | REAL)[key]) and not (value == 1.5 and key in REAL)
    ]


@pytest.fixture(scope="module")
def plain(composed: Config) -> DictConfig:
    return composed(*FEW)


@pytest.mark.parametrize(("key", "value"), wrong_values())
def test_a_number_of_the_wrong_kind_is_one_line_and_leaves_nothing_behind(
    plain: DictConfig, tmp_path: Path, key: str, value: object
) -> None:
    config = plain.copy()
    OmegaConf.update(config, key, value, merge=False, force_add=True)
    with pytest.raises(InputError, match=f"^{key}=.*: give a ") as caught:
        train_series(config, tmp_path / "run")
    assert as_written(value) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_every_number_of_the_plain_sections_is_among_them(plain: DictConfig) -> None:
    settings = read_settings(plain).model_dump()
    numbers = {
        key if section is None else f"{section}.{key}"
        for section in (None, "subset", "features", "training", "tuning", "trainer")
        for key, value in (settings if section is None else settings[section]).items()
        if not isinstance(value, bool | str | list | dict)
        and key not in ("resume", "hyperparameters_from")
    }
    assert numbers == {*WHOLE, *REAL}


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("class_folds=1", "class_folds=1: give a whole number from 2 to half the seen classes, 0 "),
        ("class_folds=false", "class_folds=false: give a whole number from 2 to half"),
        ("class_folds=0.0", "class_folds=0.0: give a whole number from 2 to half"),
        ("trainer.max_epochs=true", "trainer.max_epochs=true: give a whole number from 1 on"),
        ("train_metrics=1", "train_metrics=1: give true or false"),
        ("report=pdf", "report=pdf: give html or none"),
        ("copies.near=ignore", "copies.near=ignore: give count or group"),
        ("copies.in_two_classes=true", "copies.in_two_classes=true: give keep or drop"),
        (
            "spaces=backbone",
            "spaces=backbone: give a list of backbone, classifier, pretraining, or []",
        ),
        (
            "spaces=[words]",
            "spaces=[words]: give a list of backbone, classifier, pretraining, or []",
        ),
        ("features.dtype=int8", "features.dtype=int8: give float16 or float32"),
        ("features.fast=yes", "features.fast=yes: give true or false"),
        (
            "training=3",
            "training=3: give the keys batch_size, min_epochs, min_steps, patience, num_workers",
        ),
        (
            "ks=[]",
            "ks=[]: give a whole number from 1 on, a list of one or more of them, each once",
        ),
        ("seed=null", "seed=null: give a whole number from 0 to 4294967295"),
        ("features.device=0", "features.device=0: give auto, cpu, cuda or cuda:N"),
        (
            "~training",
            "training is missing: give the keys batch_size, min_epochs, min_steps, patience, num_",
        ),
        ("~training.batch_size", "training.batch_size is missing: give a whole number from 1"),
        ("+subset.max_images=3", "no option subset.max_images: subset has min_images, "),
    ],
)
def test_the_line_says_what_to_give(composed: Config, override: str, line: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings(composed(*FEW, override))
    assert str(caught.value).startswith(line)


def test_right_values_keep_their_types(composed: Config) -> None:
    config = composed(*FEW, "ks=[1,5]", "trainer.gradient_clip_val=2", "spaces=[backbone]")
    settings = read_settings(config)
    assert settings.ks == [1, 5]
    assert settings.trainer.gradient_clip_val == 2.0
    assert settings.training.batch_size == config.training.batch_size
    assert settings.spaces == ["backbone"]
    check_option("workers", None, FromOne | None)


def test_gradients_are_not_clipped_at_0(composed: Config) -> None:
    config = composed(*FEW, "trainer.gradient_clip_val=0")
    assert (
        recipe_of(config, 100).clip is None
    )  # as Lightning reads it; the plain loop would cut to 0


def test_the_command_ends_in_one_line_with_exit_code_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import runpy

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "trainer.max_epochs=true", "hydra.run.dir=run"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    assert end.value.code == 2
    line = "error: trainer.max_epochs=true: give a whole number from 1 on, or null\n"
    assert capsys.readouterr().err == line
    assert not Path("run").exists()
