"""A run that rehearses: the prior that it keeps, its calibrated figures, and what has no say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw
from omegaconf import DictConfig
from PIL import Image

from devise_exp import reevaluation, run
from devise_exp.centring import centre_of, centred
from devise_exp.encoder import Encoder
from devise_exp.prepare import features_of, prepare
from devise_exp.run_folder import RunFolder

NAMES = (
    "cat", "dog", "lion", "tiger", "boat", "ship", "airplane", "helicopter", "giraffe", "octopus",
    "sunflower", "pyramid", "street", "glacier",
)  # fmt: skip
QUICK = (
    "data=image_folder", "word_vectors=random", "split.n_unseen=3", "projection=linear",
    "optimizer.lr=0.003", "trainer.max_epochs=2", "training.batch_size=16",
    "features.num_workers=0", "features.dtype=float32", "features.batch_size=14", "logger=none",
    "prior.weights=[0.1,0.3,0.5,1]", "split.seed=2", "method=[conse_pretraining,random_vectors]",
)  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen classes of three pictures each, enough for rehearsals."""
    root = tmp_path_factory.mktemp("tree")
    for c, name in enumerate(NAMES):
        for i in range(3):
            colour = [(c * step + 40) % 200 + 25 for step in (37, 91, 53)]
            draw(root / name / f"{i}.png", (colour[0], colour[1], colour[2]), 100 * c + i, size=24)
    return root


@pytest.fixture(scope="module")
def config(composed: Callable[..., DictConfig], tree: Path) -> DictConfig:
    return composed(*QUICK, f"data.root={tree}")


@pytest.fixture(scope="module")
def trained(
    config: DictConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, dict[str, float]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return RunFolder(folder), run.train(config, folder, quietly=True)


def test_a_run_keeps_the_prior_that_pictures_are_embedded_with(
    trained: tuple[RunFolder, dict[str, float]], tree: Path
) -> None:
    folder, _ = trained
    prior = folder.prior()
    assert prior is not None
    assert folder.chosen("devise")["prior/weight"] == prior.weight > 0
    model, split = folder.embedded("devise"), folder.split()
    centre = centre_of(folder.class_vectors(), folder.class_ids()[0])
    rows = split["test"][:2] + split["unseen"]
    images = [Image.open(tree / row).convert("RGB") for row in rows]
    encoder = Encoder(folder, centre)
    saved = centred(np.concatenate([model.seen[:2], model.unseen]), centre)
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
    assert values["calibrated/factor"] == folder.embedded("devise").factor


def test_test_and_unseen_images_have_no_say_in_anything_a_run_chooses(
    trained: tuple[RunFolder, dict[str, float]], config: DictConfig, tmp_path: Path
) -> None:
    folder, values = trained
    alone = config.copy()
    alone.method = {}
    parts = prepare(alone)
    features = np.array(features_of(alone, parts))
    closed = np.concatenate([parts.split.test, parts.split.unseen_rows])
    features[closed] = np.random.default_rng(0).normal(size=(len(closed), features.shape[1]))
    spoilt = run.train(alone, tmp_path / "run", quietly=True, ready=(parts, features))
    assert spoilt["seen/hit@5"] != values["seen/hit@5"]  # they did count in the evaluation
    other = RunFolder(tmp_path / "run")
    assert other.chosen("devise") == folder.chosen("devise")
    assert other.embedded("devise").factor == folder.embedded("devise").factor is not None
    for name, array in folder.arrays("prior").items():
        np.testing.assert_array_equal(array, other.arrays("prior")[name])
    states = [torch.load(f.checkpoints / "best.ckpt", weights_only=True) for f in (folder, other)]
    for name, tensor in states[0]["state_dict"].items():
        assert torch.equal(tensor, states[1]["state_dict"][name])
