"""Choices of a finished run that further seeds take, and runs whose choices do not hold."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.baselines import ALL
from helpers.configs import CHOOSING, FEW
from helpers.options import last_given
from helpers.paths import ROOT
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.methods.selection import fit_method
from devise_exp.pipelines import run
from devise_exp.pipelines.fit import methods_of
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.runs.config_names import UNFINISHED
from devise_exp.runs.folder import RunFolder

Series = tuple[Path, dict[str, float]]
Config = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def both(series: Series) -> tuple[RunFolder, RunFolder]:
    """The run of the first seed, which chose, and that of the second, which took its choices."""
    return RunFolder.existing(series[0] / "seed=1"), RunFolder.existing(series[0] / "seed=2")


# What is taken


def test_the_second_seed_takes_every_choice_of_the_first(
    both: tuple[RunFolder, RunFolder],
) -> None:
    first, second = both
    assert first.config().hyperparameters_from is None
    assert second.config().hyperparameters_from == str(first.path)
    assert first.hyperparameters("devise")["prior/weight"] > 0  # the second alone selects none
    assert {"gamma", "lambda", "rehearsal/AUSUC"} == set(first.hyperparameters("eszsl"))
    for name in ("devise", "conse_pretraining", "eszsl", "devise_cosine"):
        assert second.hyperparameters(name) == first.hyperparameters(name)
    assert second.hyperparameters("ale") == {"rate": first.hyperparameters("ale")["rate"]}
    for name in first.method_names():
        gamma = first.embedded(name).gamma
        # Chosen anew on another seed's class folds, the trained maps' would be other numbers.
        assert second.embedded(name).gamma == gamma is not None
    assert (second.path / "prior.npz").read_bytes() == (first.path / "prior.npz").read_bytes()


def test_what_no_seed_changes_is_the_same_to_the_last_bit(
    both: tuple[RunFolder, RunFolder],
) -> None:
    def same(name: str) -> bool:
        one, two = ((this.path / "embeddings" / f"{name}.npz").read_bytes() for this in both)
        return one == two

    assert {name for name in both[0].method_names() if same(name)} == {"conse_pretraining", "eszsl"}


def test_a_single_run_with_these_choices_has_the_figures_of_the_series(
    both: tuple[RunFolder, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command, to which the folder seed=1 is a value with a = of its own."""
    monkeypatch.chdir(tmp_path)
    first, second = both
    options = ("seed=2", f"hyperparameters_from={first.path}", f"hydra.run.dir={tmp_path}/alone")
    monkeypatch.setattr(sys, "argv", ["train.py", *last_given([*CHOOSING, *options])])
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    for name in ("metrics.json", "results.csv", "prior.npz", "embeddings/devise.npz"):
        assert (tmp_path / "alone" / name).read_bytes() == (second.path / name).read_bytes()


SEEDLESS = [  # clip_zero_shot needs a backbone with a text tower: tests/integration/test_clip_run
    name for name, method in ALL.items() if not method.uses_seed and name != "clip_zero_shot"
]


@pytest.mark.parametrize("name", SEEDLESS)
def test_a_method_that_says_so_uses_no_seed(composed: Config, name: str) -> None:
    config = composed(*FEW, f"method={name}")
    data = prepare(config)
    features = features_of(config, data)
    (method,) = methods_of(config, data, lambda task: pytest.fail("trained a projection"))
    result = []
    for seed in (0, 1):
        task = data.task(features, seed)
        result.append(fit_method(method, task, data.class_folds(task)))
    one, two = result
    assert one.hyperparameters == two.hyperparameters
    np.testing.assert_array_equal(one.class_vectors, two.class_vectors)
    test = features[data.split.test]
    np.testing.assert_array_equal(one.embed(test), two.embed(test))


def test_that_nothing_was_chosen_is_taken_too_and_a_further_method_chooses(
    splits: Series, composed: Config, tmp_path: Path
) -> None:
    """Else the trained model would stand uncalibrated beside calibrated baselines."""
    first, second = RunFolder(splits[0] / "split=3" / "seed=1"), RunFolder(tmp_path / "second")
    options = ("split.seed=3", "method=[devise_cosine,conse_pretraining]")
    config = composed(*FEW, *options, f"hyperparameters_from='{first.path}'")
    run.train(config, second.path, quietly=True)
    assert second.prior() is None
    assert second.hyperparameters("devise") == first.hyperparameters("devise") == {}
    gammas = {name: second.embedded(name).gamma for name in second.method_names()}
    assert gammas.pop("conse_pretraining") is not None
    assert gammas == {"devise": None, "devise_cosine": None}


# What is refused


@pytest.mark.parametrize(
    ("options", "different"),
    [
        (["split.seed=1"], "split"),
        (["split.n_unseen=2"], "split"),
        (["backbone=efficientnet_lite1"], "backbone"),
        (["prior.weights=[0.1,0.3]"], "prior"),
        (["word_vectors=random"], "word_vectors"),
        (["word_vectors.limit=300000"], "word_vectors"),
        (["split.seed=1", "prior.top=5"], "split and prior"),
    ],
)
def test_choices_of_another_recipe_are_refused(
    both: tuple[RunFolder, RunFolder],
    composed: Config,
    tmp_path: Path,
    options: list[str],
    different: str,
) -> None:
    config = composed(*CHOOSING, *options, f"hyperparameters_from='{both[0].path}'")
    with pytest.raises(InputError) as caught:
        run.train(config, tmp_path / "run")
    line = str(caught.value)
    assert f"{both[0].path}: that run has another {different}, so" in line
    assert "\n" not in line
    assert not list(tmp_path.iterdir())


def test_what_is_no_finished_run_has_no_choices(
    both: tuple[RunFolder, RunFolder], composed: Config, tmp_path: Path
) -> None:
    unfinished = Path(shutil.copytree(both[0].path, tmp_path / "unfinished"))
    (unfinished / UNFINISHED).touch()
    for base, words in (
        (unfinished, "did not finish"),
        (both[0].path.parent, ": a series, which has"),
    ):
        with pytest.raises(InputError, match=words):
            run.train(composed(*CHOOSING, f"hyperparameters_from='{base}'"), tmp_path / "run")
        assert not (tmp_path / "run").exists()
