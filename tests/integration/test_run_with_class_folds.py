"""A run with class folds: the prior that it keeps, its calibrated figures, and what has no say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.class_folds import QUICK
from omegaconf import DictConfig
from PIL import Image

from devise_exp.core.array_files import load_arrays
from devise_exp.core.errors import InputError
from devise_exp.core.vectors import centre_of, centre_rows
from devise_exp.methods.baselines import Prototypes, softmax
from devise_exp.methods.baselines.softmax import fit_softmax
from devise_exp.methods.method import FittedMethod
from devise_exp.methods.task import ClassFold, Task
from devise_exp.pipelines import reevaluation, run
from devise_exp.pipelines.experiment_data import audit_classes
from devise_exp.pipelines.fit import methods_of
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.runs.folder import RunFolder
from devise_exp.search.encoder import ImageEncoder

PRIOR_ALONE = (*QUICK, "word_vectors=random", "classifiers=none")


@pytest.fixture(scope="module")
def config(composed: Callable[..., DictConfig], tree: Path) -> DictConfig:
    return composed(*PRIOR_ALONE, f"data.root={tree}")


@pytest.fixture(scope="module")
def trained(
    config: DictConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, dict[str, float]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return RunFolder(folder), run.train(config, folder, quietly=True)


def test_a_run_keeps_the_prior_that_images_are_embedded_with(
    trained: tuple[RunFolder, dict[str, float]], tree: Path
) -> None:
    folder, _ = trained
    prior = folder.prior()
    assert prior is not None
    assert folder.hyperparameters("devise")["prior/weight"] == prior.strength > 0
    model, split = folder.embedded("devise"), folder.split()
    centre = centre_of(folder.class_vectors(), folder.class_ids()[0])
    rows = split.test[:2] + split.unseen
    images = [Image.open(tree / row).convert("RGB") for row in rows]
    encoder = ImageEncoder(folder, centre)
    saved = centre_rows(np.concatenate([model.seen.vectors[:2], model.unseen.vectors]), centre)
    np.testing.assert_allclose(encoder(images)["devise"], saved, atol=1e-4)
    encoder.trained = replace(encoder.trained, prior=None)
    assert np.abs(encoder(images[:2])["devise"] - saved[:2]).max() > 0.02  # the prior counts


@pytest.mark.parametrize("options", [(), ("checkpoint=checkpoints/best.ckpt", "index=exact")])
def test_evaluating_again_gives_calibrated_and_hierarchical_figures_as_well(
    trained: tuple[RunFolder, dict[str, float]],
    composed: Callable[..., DictConfig],
    options: tuple[str, ...],
) -> None:
    folder, values = trained
    again = reevaluation.evaluate(composed(f"run_dir={folder.path}", *options, name="evaluate"))
    kept = {name: v for name, v in values.items() if name not in ("val/hit@1", "epoch")}
    assert again == kept
    names = {"calibrated/H@1", "calibrated/factor", "all/AUSUC", "unseen/hp@2",
             "calibrated_unseen/hit@1/class_mean", "method/chance/all_seen/hp@5",
             "method/conse_pretraining/calibrated/factor", "unseen_clean/hit@1",
             "method/conse_pretraining/all/AUSUC", "unseen_leaked/hit@1"}  # fmt: skip
    assert names <= set(again)
    assert not [name for name in again if name.startswith("method/random_vectors/calibrated")]
    assert values["calibrated/factor"] == folder.embedded("devise").gamma


def test_test_and_unseen_images_have_no_say_in_anything_a_run_chooses(
    trained: tuple[RunFolder, dict[str, float]], config: DictConfig, tmp_path: Path
) -> None:
    folder, values = trained
    alone = config.copy()
    alone.method = {}
    data = prepare(alone)
    features = np.array(features_of(alone, data))
    closed = np.concatenate([data.split.test, data.split.unseen_rows])
    features[closed] = np.random.default_rng(0).normal(size=(len(closed), features.shape[1]))
    spoilt = run.train(alone, tmp_path / "run", quietly=True, ready=(data, features))
    assert spoilt["seen/hit@5"] != values["seen/hit@5"]  # they did count in the evaluation
    other = RunFolder(tmp_path / "run")
    assert other.hyperparameters("devise") == folder.hyperparameters("devise")
    assert other.embedded("devise").gamma == folder.embedded("devise").gamma is not None
    for name, array in load_arrays(folder.path / "prior.npz").items():
        np.testing.assert_array_equal(array, load_arrays(other.path / "prior.npz")[name])
    states = [torch.load(f.checkpoints / "best.ckpt", weights_only=True) for f in (folder, other)]
    for name, tensor in states[0]["state_dict"].items():
        assert torch.equal(tensor, states[1]["state_dict"][name])


# Choices of another run


@pytest.mark.parametrize(
    ("options", "different", "keys"),
    [
        (["loss=mse"], "loss", "loss"),
        (["training.batch_size=8"], "training", "training.batch_size"),
        (["projection=mlp", "loss=cosine"], "projection and loss", "projection.hidden"),
        (["split.seed=1"], "split", "split.seed"),
    ],
)
def test_choices_of_another_recipe_are_refused_by_the_keys_that_differ(
    trained: tuple[RunFolder, dict[str, float]],
    composed: Callable[..., DictConfig],
    tree: Path,
    tmp_path: Path,
    options: list[str],
    different: str,
    keys: str,
) -> None:
    source = f"hyperparameters_from={trained[0].path}"
    config = composed(*PRIOR_ALONE, f"data.root={tree}", *options, source)
    with pytest.raises(InputError) as caught:
        run.train(config, tmp_path / "run")
    line = str(caught.value)
    assert f"{trained[0].path}: that run has another {different}, so" in line
    assert keys in line
    assert "\n" not in line
    assert not (tmp_path / "run").exists()


def test_a_run_that_took_choices_says_whose_and_claims_no_class_fold(
    trained: tuple[RunFolder, dict[str, float]], config: DictConfig, tmp_path: Path
) -> None:
    first = trained[0]
    assert first.about()["rehearsals"] == 2
    changed = config.copy()
    changed.update(seed=1, hyperparameters_from=str(first.path), class_folds=0)
    run.train(changed, tmp_path / "run", quietly=True)
    second = RunFolder(tmp_path / "run")
    assert second.about()["choices"] == first.path.name
    assert "rehearsals" not in second.about()
    for name in ("devise", "conse_pretraining", "random_vectors"):
        assert second.hyperparameters(name) == first.hyperparameters(name)
        assert second.embedded(name).gamma == first.embedded(name).gamma
    assert second.embedded("devise").gamma is not None


# What is looked at, and when


LOOKED: list[str] = []


class Watched(np.ndarray):
    """Features that note when rows beyond training and validation are asked for."""

    closed: np.ndarray

    def __array_finalize__(self, other: Any) -> None:
        self.closed = getattr(other, "closed", np.zeros(0, dtype=int))

    def __getitem__(self, rows: Any) -> Any:
        asked = np.asarray(rows) if isinstance(rows, np.ndarray) else np.arange(len(self))[rows]
        if len(self.closed) and np.isin(asked, self.closed).any():
            LOOKED.append("looked")
        return np.asarray(self)[rows]


def late(task: Task, folds: Sequence[ClassFold]) -> FittedMethod:
    LOOKED.append("fitted")
    return Prototypes().fit(task)


def test_all_methods_are_fitted_before_a_test_or_unseen_image_is_looked_at(
    config: DictConfig, tmp_path: Path
) -> None:
    changed = config.copy()
    target = {"_target_": f"{__name__}.late", "_partial_": True}
    changed.update(method={"one": target, "two": target}, class_folds=0, prior=None)
    data = prepare(changed)
    features = np.array(features_of(changed, data)).view(Watched)
    features.closed = np.concatenate([data.split.test, data.split.unseen_rows])
    LOOKED.clear()
    run.train(changed, tmp_path / "run", quietly=True, ready=(data, features))
    assert LOOKED[:2] == ["fitted", "fitted"]
    assert set(LOOKED[2:]) == {"looked"}


def test_the_softmax_classifier_is_trained_once_for_its_row_and_its_space(
    config: DictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = config.copy()
    method = {"softmax": {"_target_": "devise_exp.methods.baselines.Softmax"}}
    changed.update(class_folds=0, prior=None, spaces=["classifier"], method=method)
    trained: list[int] = []
    real = fit_softmax

    def counted(*arguments: Any) -> Any:
        trained.append(1)
        return real(*arguments)

    monkeypatch.setattr(softmax, "fit_softmax", counted)
    run.train(changed, tmp_path / "run", quietly=True)
    assert len(trained) == 1


def test_class_folds_that_had_to_be_left_out_are_not_counted(
    config: DictConfig, tmp_path: Path
) -> None:
    changed = config.copy()
    changed.method = {}
    data = prepare(changed)
    general = data.split.classes[data.held_out[0][0]]
    spoilt = replace(data, class_audit=audit_classes({general: "entity"}, data.backbone))
    run.train(changed, tmp_path / "run", quietly=True, ready=(spoilt, features_of(changed, data)))
    assert RunFolder(tmp_path / "run").about()["rehearsals"] == 1


def test_why_there_is_no_conse_of_the_pretraining_is_said_rightly(
    config: DictConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    data = replace(prepare(config), pretraining=None)
    trainable = replace(data, backbone=replace(data.backbone, trainable=True))
    said = []
    for item in (data, trainable):
        list(methods_of(config, item, lambda task: pytest.fail("trained a projection")))
        captured = capsys.readouterr()
        said.append(captured.out + captured.err)
    assert "unknown" in said[0]
    assert "trained on" in said[1]
    assert "unknown" not in said[1]
