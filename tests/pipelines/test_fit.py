"""The two stages of a trainable backbone: the map first, then the network, at its own rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import ALONE, SMALL_NETWORK
from omegaconf import DictConfig
from torch import Tensor

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.pipelines import reevaluation, run
from devise_exp.pipelines.fit import fit_projection
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.pipelines.recipe import recipe_of
from devise_exp.runs.folder import RunFolder
from devise_exp.search.saved_run import Run
from devise_exp.training.checkpoint import read_checkpoint

Config = Callable[..., DictConfig]
SMALL = [
    "data=image_folder", *SMALL_NETWORK, "projection.hidden=16",
    "optimizer.lr=0.01", "training.min_epochs=1", "training.min_steps=7", "training.batch_size=8",
    "tuning.max_epochs=2", "tuning.batch_size=4", "tuning.num_workers=0", *ALONE,
    "subset.limit_per_class=4", "features.num_workers=0", "features.dtype=float32", "logger=none",
]  # fmt: skip


@pytest.fixture(scope="module")
def small(composed: Config, image_tree: Path) -> Config:
    return lambda *more: composed(*SMALL, f"data.root={image_tree}", *more)


@pytest.fixture(scope="module")
def tuned(small: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    return folder, run.train(small("backbone.trainable=true"), folder)


def weights(folder: Path, name: str) -> dict[str, Tensor]:
    result: dict[str, Tensor] = read_checkpoint(folder / "checkpoints" / name)["state_dict"]
    return result


def test_the_map_is_that_of_a_run_without_the_second_stage(
    small: Config, tuned: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    figures = run.train(small(), tmp_path / "frozen")
    frozen, before = RunFolder(tmp_path / "frozen"), RunFolder(tuned[0])
    assert before.method_names() == ["devise", "frozen_backbone"]
    for side in ("seen", "unseen"):
        np.testing.assert_array_equal(
            before.embedded("frozen_backbone").parts[side].vectors,
            frozen.embedded("devise").parts[side].vectors,
        )
        key = f"{side}/hit@1/class_mean"
        assert tuned[1][f"method/frozen_backbone/{key}"] == figures[key]
    assert not any(name.startswith("backbone.") for name in weights(tuned[0], "map/best.ckpt"))
    about, steps = before.details().about, len(range(0, len(before.split().train) - 1, 8))
    epochs = -(-7 // steps)  # for training.min_steps
    assert (about["training/epochs"], about["training/steps"]) == (epochs, epochs * steps)
    assert about["tuning/epochs"] == 2


def test_the_network_goes_on_from_the_map_and_the_pretraining(
    small: Config, tuned: tuple[Path, dict[str, float]]
) -> None:
    before, after = weights(tuned[0], "map/best.ckpt"), weights(tuned[0], "last.ckpt")
    network = prepare(small()).backbone.network.state_dict()
    moved = (after["projection.0.weight"] - before["projection.0.weight"]).norm()
    assert 0 < moved < 0.8 * before["projection.0.weight"].norm()
    for name, pretrained in network.items():
        this = after[f"backbone.{name}"]
        if "running" in name:  # the statistics of the pretraining stay
            assert torch.equal(this, pretrained)
        elif name == "conv1.weight":
            assert 0 < (this - pretrained).norm() < 0.5 * pretrained.norm()


def test_a_tuned_run_is_evaluated_and_searched_by_its_own_network(
    composed: Config, tuned: tuple[Path, dict[str, float]]
) -> None:
    folder, figures = tuned
    expected = {n: v for n, v in figures.items() if n not in ("val/hit@1", "epoch")}
    again = composed(f"run_dir={folder}", f"checkpoint={folder}/checkpoints/best.ckpt",
                     name="evaluate")  # fmt: skip
    assert reevaluation.evaluate(again) == pytest.approx(expected, abs=1e-6)
    gallery = (saved := Run.open(folder)).gallery("unseen")
    images = [open_image(Path(row.path or "")) for row in gallery.rows]
    result = saved.embed(images)["devise"]
    np.testing.assert_allclose(result, gallery.index.vectors, atol=1e-4)
    frozen = RunFolder(folder).embedded("frozen_backbone").unseen.vectors
    assert np.abs(result - frozen).max() > 1e-2


def test_a_run_stopped_between_the_stages_goes_on_to_the_same_end(
    small: Config, tuned: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    config = small("backbone.trainable=true")
    stopped, data = RunFolder(tmp_path / "run"), prepare(config)
    stopped.begin(config)
    fit_projection(recipe_of(config, data.n_train), stopped, data, features_of(config, data))
    assert stopped.unfinished
    resumed = run.train(small(f"resume={stopped.path}"), tmp_path / "another")
    assert resumed == tuned[1]
    for name, tensor in weights(tuned[0], "best.ckpt").items():
        torch.testing.assert_close(weights(stopped.path, "best.ckpt")[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("key", ["tuning.max_epochs", "tuning.batch_size"])
def test_a_wrong_setting_of_the_second_stage_ends_the_run_at_once(
    small: Config, tmp_path: Path, key: str
) -> None:
    with pytest.raises(InputError, match=f"{key}=0: give a whole number from 1 on"):
        run.train(small("backbone.trainable=true", f"{key}=0"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
