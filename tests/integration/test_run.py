"""Whole runs on small images: trained, evaluated again, repeated, interrupted, resumed, swept."""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.configs import ALONE, SMALL_NETWORK, TINY
from helpers.options import last_given
from helpers.own_process import OwnProcess
from helpers.paths import ROOT
from helpers.wandb import wandb_inspect
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError, user_message
from devise_exp.evaluation import evaluator
from devise_exp.evaluation.draws import split_draws
from devise_exp.evaluation.protocols import standard_protocols
from devise_exp.index.exact import ExactIndex
from devise_exp.index.saved import load
from devise_exp.pipelines import reevaluation, run
from devise_exp.runs.folder import RunFolder
from devise_exp.text.wordnet.imagenet21k import shipped_imagenet21k

Config = Callable[..., DictConfig]
INDEXES = ("exact", "hnsw", "brute_force", "faiss")
SMALL = [
    "data=image_folder",
    *SMALL_NETWORK,
    "projection.hidden=32",
    "projection.dropout=0.2",
    "optimizer.lr=0.01",
    "trainer.max_epochs=8",
    "training.batch_size=16",
    "features.num_workers=0",
    "logger=none",
]


@pytest.fixture(scope="module")
def small(composed: Config, image_tree: Path) -> Config:
    """small("seed=1", ...) -> the config of a quick run on the small images."""

    def make(*overrides: str) -> DictConfig:
        return composed(*SMALL, f"data.root={image_tree}", *overrides)

    return make


@pytest.fixture(scope="module")
def again(composed: Config) -> Config:
    """again(run folder, "ks=[1]", ...) -> the figures that evaluate.py gives."""

    def make(folder: Path, *overrides: str) -> dict[str, float]:
        return reevaluation.evaluate(composed(f"run_dir={folder}", *overrides, name="evaluate"))

    return make


@pytest.fixture(scope="module")
def trained(
    small: Config, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("runs") / "a run with spaces"
    return folder, run.train(small(), folder)


def metrics(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return result


def assert_complete(folder: Path) -> None:
    """Everything that RunFolder promises, readable."""
    finished = RunFolder.existing(folder)
    classes, split = finished.classes(), finished.split()
    assert {record.seen for record in classes} == {True, False}
    assert all((split.train, split.val, split.test, split.unseen))
    seen, unseen = finished.class_ids()
    vectors = finished.class_vectors()
    assert len(classes) == len(vectors) == len(seen) + len(unseen)
    assert finished.method_names() == ["devise", "softmax", "conse", "random_vectors"]
    model = finished.embedded("devise")
    protocols = {"seen", "unseen", "all_seen", "all_unseen"}
    if model.gamma is not None:
        protocols |= {"calibrated_seen", "calibrated_unseen"}
    assert len(model.seen.vectors) == len(split.test)
    assert len(model.unseen.vectors) == len(split.unseen)
    index = load(folder / "index")
    assert len(index) == len(vectors)
    with np.load(folder / "neighbours.npz") as neighbours:
        assert {name for name in neighbours if not name.startswith("method/")} == protocols
        assert {"method/conse/unseen", "method/softmax/seen"} <= set(neighbours)
        assert "method/softmax/unseen" not in neighbours  # which it cannot name
        assert len(neighbours["all_unseen"]) == len(split.unseen)
    for name in ("best.ckpt", "last.ckpt"):
        assert (folder / "checkpoints" / name).is_file()
    assert {"seen/hit@1", "unseen/hit@1", "all/H@1"} <= set(metrics(folder))
    for name in ("results.csv", "report.md", "about.json", "diagnostics.json", "report.html"):
        assert (folder / name).stat().st_size > 0
    assert finished.config().seed is not None
    left = [path for path in folder.rglob("*") if path.name.startswith((".", "tmp", "UNFINISHED"))]
    assert not [path for path in left if not {"wandb", ".hydra"} & {*path.parts}]


# Training and evaluating again


def test_a_run_folder_is_complete(trained: tuple[Path, dict[str, float]]) -> None:
    folder, values = trained
    assert_complete(folder)
    saved = metrics(folder)
    figures = {name: v for name, v in saved.items() if name in values}
    assert {**figures, "val/hit@1": values["val/hit@1"], "epoch": values["epoch"]} == values
    numbers = ("epoch", "draws", "hp_classes", "hp_images")
    shares = {n: v for n, v in values.items() if n.rpartition("/")[2] not in numbers}
    assert all(0 <= value <= 1 for value in shares.values())
    assert values["method/random_vectors/unseen/hit@1/draws"] == 10
    assert saved["method/random_vectors/control"].startswith(("at chance", "NOT at chance"))
    assert saved["data"] == "image_folder"
    assert saved["labels/exact"] == 8
    batches = len(range(0, len(RunFolder(folder).split().train) - 1, 16))
    assert (saved["training/epochs"], saved["training/steps"]) == (8, 8 * batches)
    assert (
        f"trained for 8 epochs, that is {8 * batches} steps" in (folder / "report.html").read_text()
    )
    assert f"training/steps {8 * batches}" in (folder / "report.md").read_text()
    assert values["seen/hit@1"] > 2 * values["method/chance/seen/hit@1"]  # it has learnt something


@pytest.mark.parametrize("index", ["saved", *INDEXES])
@pytest.mark.parametrize("source", ["embeddings", "checkpoint"])
def test_evaluating_again_gives_the_same_figures_to_the_last_digit(
    trained: tuple[Path, dict[str, float]], again: Config, index: str, source: str
) -> None:
    folder, values = trained
    overrides = [f"index={index}"]
    if source == "checkpoint":
        overrides.append(f"checkpoint='{folder}/checkpoints/best.ckpt'")
    expected = {n: v for n, v in values.items() if n not in ("val/hit@1", "epoch")}
    assert again(folder, *overrides) == expected


def test_an_evaluation_is_written_beside_the_runs_own(
    trained: tuple[Path, dict[str, float]], again: Config
) -> None:
    folder, _ = trained
    this = (folder / "metrics.json").read_bytes()
    result = again(folder, "index=exact")
    last = max((folder / "evaluations").iterdir(), key=lambda base: int(base.name))
    assert {n: v for n, v in metrics(last).items() if n in result} == result
    assert metrics(last)["index"] == "ExactIndex"
    assert metrics(folder)["index"] == "NmslibIndex hnsw"
    assert metrics(last)["split/fingerprint"] == metrics(folder)["split/fingerprint"]
    again(folder)
    assert (last.parent / str(int(last.name) + 1) / "report.md").is_file()
    assert (folder / "metrics.json").read_bytes() == this


def test_other_ks_and_protocols(trained: tuple[Path, dict[str, float]], again: Config) -> None:
    folder, values = trained
    result = again(folder, "ks=[2,4]", "protocols=[seen,all_seen]")
    shares = {n for n in result if n.startswith(("seen", "all_seen")) and n.count("/") == 1}
    asked = [f"{p}/{f}@{k}" for p in ("seen", "all_seen") for f in ("hit", "hp") for k in (2, 4)]
    counts = {f"{p}/hp_{n}" for p in ("seen", "all_seen") for n in ("classes", "images")}
    assert shares == set(asked) | counts
    assert result["seen/hit@2"] == values["seen/hit@2"]
    assert "seen/hit@4" not in values
    for options, words in (
        (("ks=[3]",), "2 candidates of unseen"),
        (("protocols=[extra_seen]",), "choose among seen, unseen, all_seen, all_unseen"),
    ):
        with pytest.raises(InputError, match=words):
            again(folder, *options)
    assert again(folder, "ks=[4]", "protocols=all_unseen")["all_unseen/hit@4"] <= 1


def test_extra_labels_from_a_list_and_from_a_file(
    trained: tuple[Path, dict[str, float]], again: Config, tmp_path: Path
) -> None:
    folder, values = trained
    listed = again(folder, "extra_labels=[table, river, ice cream, cat]")
    file = tmp_path / "labels.txt"
    file.write_text(
        "\ufeff# further labels\ntable\n\n  river \nice cream\ncat\ntable\n", encoding="utf-8"
    )
    assert again(folder, f"extra_labels={file}") == listed
    # The run's own class cat and the repeated table are no further candidates: 8 + 3.
    assert listed["method/chance/extra_unseen/hit@1"] == 1 / 11
    assert {n: listed[n] for n in values if n in listed} == {
        n: v for n, v in values.items() if n not in ("val/hit@1", "epoch")
    }
    assert listed["extra_seen/hit@1"] <= listed["all_seen/hit@1"]
    for given, words in (
        ("[riverr, table]", "no word vector for riverr .near riverr: river"),
        ("[cat, dog]", "every label is a class of the run"),
        ("[]", "every label is a class of the run"),
        (str(tmp_path / "nowhere.txt"), "nowhere.txt"),
    ):
        with pytest.raises(InputError, match=words):
            again(folder, f"extra_labels={given}")


def test_candidate_sets_of_imagenet21k(
    trained: tuple[Path, dict[str, float]], again: Config, tmp_path: Path
) -> None:
    folder, values = trained
    result = again(folder, "candidate_sets=[hop1,hop2,imagenet21k]", "index=exact")
    assert {n: result[n] for n in values if n in result} == {
        n: v for n, v in values.items() if n not in ("val/hit@1", "epoch")
    }
    sizes = [round(1 / result[f"method/chance/{p}_unseen/hit@1"]) for p in ("hop2", "imagenet21k")]
    assert 100 < sizes[0] < 300
    assert 19_000 < sizes[1] < 21_841
    for protocol in ("hop2_unseen", "hop2_all_unseen", "imagenet21k_unseen"):
        assert result[f"{protocol}/hp@1"] == result[f"{protocol}/hit@1"]
        assert result[f"{protocol}/hp_images"] == 20
    # Labels of a set are those that a file lists, and rank the same.
    file = tmp_path / "ids.txt"
    nodes = RunFolder(folder).hierarchy().nodes
    seen = [node for i in RunFolder(folder).class_ids()[0].tolist() if (node := nodes[i])]
    near = [node for node in shipped_imagenet21k().within(seen, 2) if node not in seen]
    file.write_text("\n".join(near))
    listed = again(folder, f"candidate_sets={file}", "index=exact")
    of_set = {n: v for n, v in result.items() if n.startswith("hop2_unseen")}
    assert {n.replace("listed", "hop2"): v for n, v in listed.items() if "listed_u" in n} == {
        **of_set,
        **{n: v for n, v in result.items() if n.startswith("method/chance/hop2_unseen")},
    }
    few = [nodes[i] for i in RunFolder(folder).class_ids()[1].tolist() if nodes[i]]
    (tmp_path / "few.txt").write_text("\n".join([*few, "n02129165"][:3]))
    result = again(folder, f"candidate_sets=[hop2,{tmp_path}/few.txt]", "ks=2", "index=exact")
    assert len(few) == 2  # beside lion, which is seen: hit@2 among two labels says nothing
    assert "listed_unseen/hit@2" not in result
    assert "hop2_unseen/hit@2" in result
    (tmp_path / "wrong.txt").write_text("n02129165\nlion\n")
    for given, words in (
        ("hop9", "candidate_sets=hop9: choose among hop1, hop2, hop3, imagenet21k, or give"),
        ("[]", "candidate_sets is empty"),
        (f"[{tmp_path}/ids.txt,{tmp_path}/few.txt]", "few.txt: a second file"),
        (str(tmp_path / "wrong.txt"), "lion: no label of ImageNet-21K"),
        (str(tmp_path / "nowhere.txt"), "nowhere.txt"),
    ):
        with pytest.raises(InputError, match=words):
            again(folder, f"candidate_sets={given}")


@pytest.fixture(scope="module")
def elsewhere(
    small: Config, image_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    """As `trained`, a second time, on a copy of the images that is gone since."""
    base = tmp_path_factory.mktemp("elsewhere")
    images = shutil.copytree(image_tree, base / "pictures")
    values = run.train(small(f"data.root={images}"), base / "run")
    shutil.rmtree(images)
    return base / "run", values


def test_the_run_folder_alone_is_enough(
    trained: tuple[Path, dict[str, float]],
    elsewhere: tuple[Path, dict[str, float]],
    again: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Moved elsewhere, its images gone, with an empty cache."""
    folder, values = elsewhere
    # The same images elsewhere are the same data.
    assert metrics(folder) == metrics(trained[0])
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    folder.rename(moved)
    try:
        monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        expected = {n: v for n, v in values.items() if n not in ("val/hit@1", "epoch")}
        assert again(Path("elsewhere/moved")) == expected
        assert not (tmp_path / "cache").exists()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - embedding again needs the images
            again(moved, f"checkpoint={moved}/checkpoints/best.ckpt")
    finally:
        moved.rename(folder)
    line = user_message(caught.value)
    assert line == f"image_folder: {folder.parent / 'pictures'} does not exist: " + (
        "set data.root to a folder of class folders"
    )


def test_a_wrong_run_dir_says_so(again: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: not a run folder"):
        again(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a run folder"):
        again(tmp_path)


def test_a_checkpoint_of_another_shape_is_refused(
    trained: tuple[Path, dict[str, float]], small: Config, again: Config, tmp_path: Path
) -> None:
    folder, _ = trained
    other = tmp_path / "narrow"
    run.train(small("projection.hidden=8", "trainer.max_epochs=1", *ALONE), other)
    with pytest.raises(InputError, match="another shape"):
        again(folder, f"checkpoint={other}/checkpoints/best.ckpt")
    junk = tmp_path / "junk.ckpt"
    junk.write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="damaged"):
        again(folder, f"checkpoint={junk}")
    assert not list(folder.glob("evaluations/*/checkpoints"))


def test_data_that_changed_since_the_training_is_refused(
    composed: Config, again: Config, image_tree: Path, tmp_path: Path
) -> None:
    """A new split would put trained images among the test images."""
    tree = tmp_path / "pictures"
    shutil.copytree(image_tree, tree)
    config = composed(*SMALL, f"data.root={tree}", *ALONE)
    folder = tmp_path / "run"
    run.train(config, folder)
    split = (folder / "split.json").read_bytes()
    again(folder, "checkpoint=checkpoints/last.ckpt")
    shutil.copy(next((tree / "cat").iterdir()), tree / "cat" / "new.png")
    with pytest.raises(InputError, match="have changed since this run was trained"):
        again(folder, "checkpoint=checkpoints/last.ckpt")
    (folder / "UNFINISHED").touch()
    with pytest.raises(InputError, match="have changed since this run was trained"):
        run.train(composed(f"resume={folder}"), tmp_path / "new")
    assert (folder / "split.json").read_bytes() == split


def test_a_run_folder_without_its_embeddings_says_so(
    trained: tuple[Path, dict[str, float]], again: Config, tmp_path: Path
) -> None:
    shutil.copytree(trained[0], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "embeddings")
    with pytest.raises(InputError, match=r"lacks embeddings/devise\.npz"):
        again(tmp_path / "run")


def test_a_folder_from_elsewhere_cannot_name_what_evaluate_builds(
    trained: tuple[Path, dict[str, float]], again: Config, tmp_path: Path
) -> None:
    shutil.copytree(trained[0], tmp_path / "run")
    config = RunFolder.existing(tmp_path / "run").config()
    config.index = {
        "_target_": "devise_exp.text.word_vectors.load_word_vectors",
        "path": "x",
        "_partial_": True,
    }
    OmegaConf.save(config, tmp_path / "run" / "config.yaml")
    with pytest.raises(InputError, match="as the index"):
        again(tmp_path / "run")


def test_classes_of_the_control_share_no_vector(
    small: Config, image_tree: Path, tmp_path: Path
) -> None:
    """Red cat and black cat share a word, which must not bring their random vectors together."""
    tree = tmp_path / "pictures"
    for c, name in enumerate(("red cat", "black cat", "red dog", "black dog")):
        shutil.copytree(sorted(image_tree.iterdir())[c], tree / name)
    this = ("method=random_vectors", "class_folds=0", "subset.limit_per_class=4",
           "trainer.max_epochs=1", "report=none", "method.random_vectors.draws=3",
           *TINY)  # fmt: skip
    run.train(small(f"data.root={tree}", *this), tmp_path / "run")
    draws = [*split_draws(RunFolder.existing(tmp_path / "run").embedded("random_vectors"))]
    vectors = np.stack([draw.class_vectors for draw in draws])  # (3, 4, D)
    for one in vectors:
        cosines = (one @ one.T)[~np.eye(4, dtype=bool)]
        assert np.abs(cosines).max() < 0.45  # 0.5 where half of the words are shared
    between = np.einsum("icd,jcd->ijc", vectors, vectors)[~np.eye(3, dtype=bool)]
    assert np.abs(between).max() < 0.6  # nor does a class have its vector of another draw


@pytest.mark.parametrize(
    "wrong",
    [
        "training.patience=0",
        "training.patience=x",
        "training.num_workers=-1",
        "split.seed=abc",
        "split.val_share=a",
        "subset.min_images=x",
        "features.batch_size=x",
        "class_folds=-1",
        "class_folds=x",
        "train_metrics=maybe",
        "seed=abc",
        "index=saved",
    ],
)
def test_wrong_values_end_before_anything_is_written(
    small: Config, tmp_path: Path, wrong: str
) -> None:
    with pytest.raises(InputError, match=re.split("[.=]", wrong)[0]):
        run.train(small(wrong), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_clipping_with_a_fused_optimizer_in_mixed_precision_is_refused(
    small: Config, tmp_path: Path
) -> None:
    options = ("trainer.precision=bf16-mixed", "trainer.gradient_clip_val=1")
    with pytest.raises(InputError, match=r"optimizer\.fused=false"):
        run.train(small(*options), tmp_path / "run")
    run.train(small(*options, "optimizer.fused=false", *ALONE), tmp_path / "run")


def test_a_folder_of_somebodys_own_called_latest_is_left_alone(
    small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base = tmp_path / "outputs" / "latest"
    run.train(small(*ALONE), base)
    assert not base.is_symlink()
    assert RunFolder.existing(base).method_names() == ["devise"]


def test_the_same_training_twice_and_other_seeds(
    trained: tuple[Path, dict[str, float]],
    elsewhere: tuple[Path, dict[str, float]],
    small: Config,
    tmp_path: Path,
) -> None:
    (first, values), (again, second) = trained, elsewhere
    assert second == values
    for file in ("metrics.json", "results.csv", "split.json", "classes.json"):
        assert (again / file).read_bytes() == (first / file).read_bytes()
    one, two = (RunFolder(f).embedded("devise").seen.vectors for f in (first, again))
    np.testing.assert_array_equal(one, two)
    run.train(small("seed=1", "report=none"), tmp_path / "seed")
    other, split = metrics(tmp_path / "seed"), metrics(first)["split/fingerprint"]
    assert other["split/fingerprint"] == split  # seeds share their test rows
    assert other != metrics(first)
    run.train(small("split.seed=1", "trainer.max_epochs=1", *ALONE), tmp_path / "split")
    assert metrics(tmp_path / "split")["split/fingerprint"] != split


def test_the_seed_decides_the_first_weights(small: Config, tmp_path: Path) -> None:
    still = ["optimizer.lr=1e-9", "trainer.max_epochs=1", *ALONE]
    embedded = []
    for seed in (0, 1):
        run.train(small(*still, f"seed={seed}"), tmp_path / str(seed))
        embedded.append(RunFolder(tmp_path / str(seed)).embedded("devise").seen.vectors)
    assert np.abs(embedded[0] - embedded[1]).max() > 0.1


# The shipped features, whose backbone's own classifier is known, and what is chosen on class folds


@pytest.fixture(scope="module")
def shipped(
    composed: Config, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    config = composed(
        "subset.limit_per_class=6", "subset.min_images=50", "split=random", "split.n_unseen=6",
        "projection=linear", "trainer.max_epochs=4", "optimizer.lr=0.01", "logger=none",
        "report=none",
        "method=conse",
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("shipped") / "run"
    return folder, run.train(config, folder)


def test_the_shipped_features_serve_a_subset(shipped: tuple[Path, dict[str, float]]) -> None:
    folder, values = shipped
    split = RunFolder(folder).split()
    rows = [row for part in ("train", "val", "test", "unseen") for row in getattr(split, part)]
    of_class: dict[str, int] = {}
    for row in rows:
        of_class[row.split("/")[0]] = of_class.get(row.split("/")[0], 0) + 1
    assert set(of_class.values()) == {6}
    assert 30 < len(of_class) < 90  # some of the 101 classes are smaller
    assert values["seen/hit@1"] > 0.5  # real features of the right rows


def test_what_was_chosen_on_class_folds_is_kept_and_holds_when_evaluated_again(
    shipped: tuple[Path, dict[str, float]], again: Config
) -> None:
    folder, values = shipped
    finished, prior = RunFolder(folder), RunFolder(folder).prior()
    assert prior is not None
    assert prior.strength == finished.hyperparameters("devise")["prior/weight"] > 0
    for name, start in (("devise", ""), ("conse", "method/conse/")):
        gamma = finished.embedded(name).gamma
        assert values[f"{start}calibrated/factor"] == gamma != 0
        # Lowered seen labels give what they gain among unseen classes for what they lose.
        assert values[f"{start}calibrated/H@1"] > values[f"{start}all/H@1"]
    with np.load(folder / "neighbours.npz") as neighbours:
        assert {"calibrated_seen", "calibrated_unseen"} <= set(neighbours)
    expected = {n: v for n, v in values.items() if n not in ("val/hit@1", "epoch")}
    assert again(folder) == expected
    assert again(folder, "checkpoint=checkpoints/best.ckpt") == expected


# Dropped classes


def test_rows_of_dropped_classes_are_in_no_part(
    image_tree: Path,
    small: Config,
    again: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "pictures"
    for image in image_tree.glob("*/0[0-3].png"):
        (root / image.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, root / image.parent.name)
    (root / "cat").rename(root / "qqzzx")
    (root / "tiger").rename(root / "zzqxv")  # the last class
    options = [f"data.root={root}", "split=named", "split.unseen=[ship,lion]", *ALONE]
    with pytest.raises(InputError, match="2 of 8 classes have no word vector"):
        run.train(small(*options), tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()
    values = run.train(small(*options, "labels.on_missing=drop"), tmp_path / "run")
    left_out = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(left_out) == 1
    assert re.match(r"warning: left out 2 of 8 classes, .*: qqzzx, zzqxv: give", left_out[0])
    folder = RunFolder(tmp_path / "run")
    assert metrics(tmp_path / "run")["labels/missing"] == 2
    names = [entry.name for entry in folder.classes()]
    assert names == ["airplane", "boat", "dog", "helicopter", "lion", "ship"]
    split = folder.split()
    for part, classes in (("unseen", {"ship", "lion"}), ("train", set(names) - {"ship", "lion"})):
        assert {row.split("/")[0] for row in getattr(split, part)} == classes
    assert sorted(split.unseen) == sorted(
        f"{name}/{i:02}.png" for name in ("ship", "lion") for i in range(4)
    )
    assert values["method/chance/all_seen/hit@1"] == 1 / 6
    model = folder.embedded("devise")
    assert model.unseen.class_ids.tolist().count(names.index("lion")) == 4
    assert again(tmp_path / "run")["unseen/hit@1"] == values["unseen/hit@1"]


# Commands, as a person gives them


@pytest.fixture(scope="module")
def sweep(image_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Two losses in one process, logged to W&B: (folder, stdout, stderr)."""
    base, out, err = tmp_path_factory.mktemp("sweep"), io.StringIO(), io.StringIO()
    options = [o for o in SMALL if not o.startswith(("projection", "logger", "optimizer"))]
    options += ["trainer.max_epochs=2", "class_folds=0"]
    grid = ["loss=cosine,hinge_rank", "projection=linear"]
    arguments = ["train.py", "-m", *last_given([*options, f"data.root={image_tree}", *grid])]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        # Were W&B to go online, it would wait for this place instead of failing at once.
        patch.setenv("WANDB_BASE_URL", "http://10.255.255.1")
        patch.setenv("HOME", str(base / "home"))
        patch.chdir(base)
        patch.setattr(sys, "argv", arguments)
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    return base, out.getvalue(), err.getvalue()


def test_a_sweep_leaves_a_complete_run_folder_for_each_job(sweep: tuple[Path, str, str]) -> None:
    base, out, _ = sweep
    (day,) = (base / "multirun").iterdir()
    (moment,) = day.iterdir()
    folders = sorted(path for path in moment.iterdir() if path.is_dir())
    assert [folder.name for folder in folders] == ["0", "1"]
    for folder, loss in zip(folders, ("cosine", "hinge_rank"), strict=True):
        assert_complete(folder)
        assert RunFolder(folder).config().loss._target_ == f"devise_exp.methods.losses.{loss}"
    assert out.count("flat hit@k in per cent") == 2
    assert (base / "outputs/latest").resolve() == folders[-1].resolve()
    assert not [p for p in base.iterdir() if p.name not in ("multirun", "outputs", "home")]


def test_each_job_of_a_sweep_has_its_own_offline_run_in_wandb(
    sweep: tuple[Path, str, str],
) -> None:
    base, _, err = sweep
    assert "wandb login" not in err
    ids = set()
    for folder in sorted(base.glob("multirun/*/*/[0-9]")):
        (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
        logged = json.loads(wandb_inspect(file, "--summary", "--json"))
        ids.add(logged["run_id"])
        assert logged["state"] == "finished"
        records = wandb_inspect(file, "--json")
        assert f"{folder.parents[1].name} {folder.parent.name}" in records  # the group
        expected = metrics(folder)
        # hp@k of fewer than five classes is in metrics.json alone.
        shown = {name: v for name, v in expected.items() if "/hp@" not in name}
        result = {name: logged["summary"][name] for name in shown}
        assert result == pytest.approx(shown, abs=1e-12)
        assert "fewer than 5 of their classes" in logged["summary"]["hierarchy/left_out"]
        assert 0 <= logged["summary"]["val/hit@1"] <= 1
        config = RunFolder(folder).config()
        assert logged["config"]["loss"]["_target_"] == config.loss._target_
        (table,) = file.parent.glob("files/media/table/results*.table.json")
        rows = json.loads(table.read_text())["data"]
        assert len(rows) == len((folder / "results.csv").read_text().splitlines()) - 1
    assert len(ids) == 2


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@pytest.fixture(scope="module")
def long_options(image_tree: Path) -> list[str]:
    """Of a run long enough to be stopped while it trains."""
    return [*SMALL, *ALONE, f"data.root={image_tree}", "trainer.max_epochs=40",
            "training.batch_size=64", "loss=hinge_rank", "loss.violators=first"]  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(
    composed: Config, long_options: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("long") / "run"
    run.train(composed(*long_options), folder)
    return folder


@pytest.fixture(scope="module")
def stopped(
    long_options: list[str], uninterrupted: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, tuple[Path, int, str]]:
    """signal -> (working folder, exit code, stderr) of a training that got it midway."""
    places = {number: tmp_path_factory.mktemp("stop") for number in STOPS}
    train = (str(ROOT / "train.py"), *long_options)
    running = {number: OwnProcess(*train, cwd=base) for number, base in places.items()}
    waiting = dict(running)
    while waiting:
        time.sleep(0.005)
        for number, process in list(waiting.items()):
            assert process.poll() is None, process.communicate()[1]
            if list(places[number].glob("outputs/*/*/checkpoints/last.ckpt")):
                del waiting[number]
                for _ in range(1 + (number == signal.SIGTERM)):  # some schedulers send it twice
                    process.send_signal(number)
                    time.sleep(0.01)
    ended = {}
    for number, process in running.items():
        _, err = process.communicate(timeout=120)
        ended[int(number)] = places[number], process.returncode, err
    return ended


@pytest.mark.parametrize("number", STOPS)
def test_a_stopped_training_goes_on_to_the_same_figures(
    stopped: dict[int, tuple[Path, int, str]],
    uninterrupted: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base, code, err = stopped[int(number)]
    (folder,) = base.glob("outputs/*/*")
    last = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] < 39, "the signal came too late"
    assert (folder / "UNFINISHED").is_file()
    assert not (folder / "metrics.json").exists()
    with pytest.raises(InputError, match=f"devise-exp train resume={folder}"):
        RunFolder.existing(folder)
    if number != signal.SIGKILL:
        word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
        assert code == 128 + number
        final = err.strip().splitlines()[-1]
        assert final.startswith(f"{word}: the run is not finished")
        assert final.endswith(f"python {ROOT / 'train.py'} resume={folder}")
        assert "Traceback" not in err
    else:
        assert code == -signal.SIGKILL
    monkeypatch.chdir(base)
    monkeypatch.setattr(sys, "argv", ["train.py", f"resume={folder}"])
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    capsys.readouterr()
    assert metrics(folder) == metrics(uninterrupted)
    resumed, whole = (RunFolder.existing(f).embedded("devise") for f in (folder, uninterrupted))
    np.testing.assert_array_equal(resumed.seen.vectors, whole.seen.vectors)
    np.testing.assert_array_equal(resumed.unseen.vectors, whole.unseen.vectors)
    this, other = (
        torch.load(item / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
        for item in (folder, uninterrupted)
    )
    assert this.keys() == other.keys()
    assert all(this[key].equal(other[key]) for key in this)
    assert [path.name for path in folder.parent.iterdir()] == [
        folder.name
    ]  # no folder for resuming
    assert (base / "outputs/latest").resolve() == folder.resolve()


def test_an_unfinished_run_that_was_moved_goes_on_to_the_same_figures(
    composed: Config, long_options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*long_options, "trainer.max_epochs=12"]
    run.train(composed(*options), tmp_path / "whole")
    steps = run.DeviseModule.training_step
    seen = []

    def stop_midway(self: Any, batch: Any, index: int) -> Any:
        seen.append(index)
        if self.current_epoch == 7:
            raise KeyboardInterrupt
        return steps(self, batch, index)

    monkeypatch.setattr(run.DeviseModule, "training_step", stop_midway)
    with pytest.raises(KeyboardInterrupt, match="devise-exp train resume="):
        run.train(composed(*options), tmp_path / "run")
    monkeypatch.undo()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning had switched it off
    (tmp_path / "run").rename(tmp_path / "moved")
    run.train(composed(f"resume={tmp_path}/moved"), tmp_path / "unused")
    assert metrics(tmp_path / "moved") == metrics(tmp_path / "whole")
    assert not (tmp_path / "unused").exists()


def test_latest_points_to_the_last_run_under_the_working_folder(
    small: Config, again: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [*ALONE, "trainer.max_epochs=1"]
    for name in ("one", "two"):
        run.train(small(*options), tmp_path / "outputs/day" / name)
        assert (tmp_path / "outputs/latest").is_symlink()
        assert (tmp_path / "outputs/latest").resolve() == tmp_path / "outputs/day" / name
    assert not Path("outputs/latest").readlink().is_absolute()  # the project may be moved
    assert again(Path("outputs/latest"))["seen/hit@1"] <= 1
    run.train(small(*options), tmp_path.parent / f"{tmp_path.name} beside")
    assert (tmp_path / "outputs/latest").resolve() == tmp_path / "outputs/day/two"


def test_the_config_that_is_kept_is_resolved(trained: tuple[Path, dict[str, float]]) -> None:
    config = OmegaConf.to_container(RunFolder(trained[0]).config(), resolve=False)
    assert "${" not in json.dumps(config)
    assert config["scheduler"]["T_max"] == config["trainer"]["max_epochs"] == 8


def test_the_index_of_the_run_folder_finds_its_classes(
    trained: tuple[Path, dict[str, float]],
) -> None:
    folder, _ = trained
    vectors = RunFolder(folder).class_vectors()
    ids, _ = load(folder / "index").search(vectors, 1)
    assert ids[:, 0].tolist() == list(range(8))
    seen, unseen = RunFolder(folder).class_ids()
    model = RunFolder(folder).embedded("devise")
    chosen = standard_protocols(seen, unseen, calibrated=True)
    expected = evaluator.evaluate([model], chosen, ExactIndex).neighbours
    with np.load(folder / "neighbours.npz") as saved:
        assert set(expected) <= set(saved)  # and those of the other methods
        for name, result in expected.items():
            np.testing.assert_array_equal(saved[name], result)


def test_the_training_images_are_evaluated_on_request(
    small: Config, again: Config, tmp_path: Path
) -> None:
    values = run.train(small("train_metrics=true", *ALONE), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    model, (seen, _) = folder.embedded("devise"), folder.class_ids()
    rows = folder.split().train
    names = [entry.name for entry in folder.classes()]
    assert "train" in model.parts
    nearest = seen[(model.parts["train"].vectors @ model.class_vectors[seen].T).argmax(axis=1)]
    hits = [names[i] == row.split("/")[0] for i, row in zip(nearest, rows, strict=True)]
    assert values["train/hit@1"] == pytest.approx(sum(hits) / len(rows))
    result = again(tmp_path / "run", "protocols=[train]", "ks=[1]")
    assert result["train/hit@1"] == values["train/hit@1"]


def test_a_run_without_the_page_has_the_same_metrics(
    trained: tuple[Path, dict[str, float]], small: Config, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder, _ = trained
    run.train(small("report=none"), tmp_path / "run")
    assert metrics(tmp_path / "run") == metrics(folder)
    files = {path.name for path in folder.iterdir()}
    missing = files - {path.name for path in (tmp_path / "run").iterdir()}
    assert missing - {"evaluations"} == {"report.html"}
    assert "report.html" not in capsys.readouterr().err
