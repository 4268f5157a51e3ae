"""Exports: onnxruntime gives the labels of torch, a script needs three packages."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.images import draw
from onnxruntime import InferenceSession
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import devise_exp
from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows, uncentre_rows
from devise_exp.data.images import ImageFiles
from devise_exp.methods.prior import PretrainedClassifier, Prior
from devise_exp.pipelines.export.model import PriorModule
from devise_exp.pipelines.export.name_image import pixels
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import embed_files, tag_images
from devise_exp.ui.cli.main import app

PACKAGES = ("numpy", "PIL", "onnxruntime")
GAMMA = 0.3


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def calibrated(searchable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run with a gamma."""
    folder = shutil.copytree(searchable, tmp_path_factory.mktemp("run") / "run")
    with np.load(folder / "embeddings/devise.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "embeddings/devise.npz", **arrays, factor=np.array(GAMMA))
    return folder


@pytest.fixture(scope="module")
def exported(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("export") / "onnx"
    lines = call("export", calibrated, "--output", output, "--vocabulary", 30).splitlines()
    assert lines[0].startswith("onnxruntime against torch, 8 images: largest difference")
    assert lines[-1] == str(output)
    return output


def test_onnxruntime_gives_the_five_labels_of_torch(
    calibrated: Path, exported: Path, tmp_path: Path
) -> None:
    files = []
    for i in range(20):
        files.append(tmp_path / f"{i}.png")
        draw(files[-1], (11 * i, 250 - 12 * i, (i * 67) % 256), seed=i)
        Image.open(files[-1]).resize((50 + 9 * i, 240 - 10 * i)).save(files[-1])
    run, about = Run.open(calibrated), json.loads((exported / "export.json").read_text())
    assert about["gamma"] == GAMMA
    assert about["labels"] == list(run.classes)
    assert about["check"]["same_top_5"] == about["check"]["images"] == 8
    vectors = run.embed(ImageFiles(map(str, files)))["devise"]
    expected = [[name for name, _ in tags] for tags in tag_images(run, vectors, 5)]
    session = InferenceSession(exported / "model.onnx")
    batch = np.concatenate([pixels(Image.open(f), about["preprocess"]) for f in files])
    (rows,) = session.run(None, {"pixels": batch})
    np.testing.assert_allclose(rows, uncentre_rows(vectors, run.centre), atol=1e-4)
    seen = np.array(about["seen"])
    ranked = rows @ np.load(exported / "class_vectors.npy").T - GAMMA * seen
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :5]
    assert [[about["labels"][i] for i in of_image] for of_image in order] == expected
    words = (exported / "words.txt").read_text(encoding="utf-8").splitlines()
    assert words == [run.vocabulary.words[i] for i in range(30)]
    np.testing.assert_array_equal(
        np.load(exported / "word_vectors.npy"), run.vocabulary.vectors[:30]
    )


def test_the_script_names_an_image_with_three_packages_alone(
    calibrated: Path, exported: Path, image_tree: Path, tmp_path: Path
) -> None:
    for package in PACKAGES:
        folder = Path(str(importlib.import_module(package).__file__)).parent
        (tmp_path / package).symlink_to(folder)
        for libraries in folder.parent.glob(f"{ {'PIL': 'pillow'}.get(package, package) }.libs"):
            (tmp_path / libraries.name).symlink_to(libraries)
    environment = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    for module, code in (("torch", 1), ("devise_exp", 1), ("onnxruntime", 0)):
        command = [sys.executable, "-S", "-c", f"import {module}"]
        assert subprocess.run(command, env=environment, capture_output=True).returncode == code
    image = image_tree / "ship" / "03.png"
    done = subprocess.run(
        [sys.executable, "-S", str(exported / "name_image.py"), str(image)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    run = Run.open(calibrated)
    (tags,) = tag_images(run, embed_files(run, [image]), 5)
    printed = [line.split("\t") for line in done.stdout.splitlines()]
    assert [name for name, _ in printed] == [name for name, _ in tags]
    np.testing.assert_allclose([float(s) for _, s in printed], [s for _, s in tags], atol=2e-3)
    script = [sys.executable, "-S", str(exported / "name_image.py")]
    (tmp_path / "no_image.png").write_bytes(b"none")
    for arguments, words in (
        ([], "usage: python "),
        ([str(tmp_path / "no_image.png")], "no_image.png: no image that can be read"),
        ([str(tmp_path / "nowhere.png")], "nowhere.png: no image that can be read"),
    ):
        failed = subprocess.run(
            [*script, *arguments], env=environment, capture_output=True, text=True
        )
        assert failed.returncode == 1
        assert words in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
    code_lines = [
        line for line in (exported / "name_image.py").read_text().splitlines() if line.strip()
    ]
    assert len(code_lines) < 50


def test_the_prior_is_the_same_in_torch_at_ties_too() -> None:
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(9, 6)).astype(np.float32)
    weight[4] = weight[5] = weight[6]  # as probable as one another
    vectors = normalize_rows(rng.normal(size=(9, 5)))
    names = tuple("abcdefghi")
    classifier = PretrainedClassifier(names, weight, np.zeros(9, np.float32), vectors)
    rows = normalize_rows(rng.normal(size=(40, 5)))
    features = rng.normal(size=(40, 6)).astype(np.float32)
    for top in (1, 2, 3, 9):
        prior = Prior(classifier, 0.7, 2.0, top)
        with torch.inference_mode():
            actual = PriorModule.of(prior)(torch.from_numpy(rows), torch.from_numpy(features))
        np.testing.assert_allclose(actual.numpy(), prior.apply(rows, features), atol=1e-5)


def test_a_folder_for_a_hub_has_a_card_the_weights_and_no_path_of_this_machine(
    calibrated: Path, image_tree: Path, tmp_path: Path
) -> None:
    output = tmp_path / "hub"
    call("export", calibrated, "--format", "hub", "--output", output, "--licence", "apache-2.0")
    (tmp_path / "plain.txt").touch()
    modes = {path.name: path.stat().st_mode for path in output.iterdir() if path.is_file()}
    assert set(modes.values()) == {(tmp_path / "plain.txt").stat().st_mode}, modes
    texts = {path.name: path.read_text(encoding="utf-8") for path in output.glob("*.[mj][ds]*")}
    assert set(texts) == {"README.md", "config.json", "export.json"}
    assert not [name for name, text in texts.items() if str(calibrated.parent) in text]
    _, front, card = texts["README.md"].split("---\n", 2)
    about = yaml.safe_load(front)
    assert (about["license"], about["library_name"]) == ("apache-2.0", "devise-exp")
    assert "| devise" in card
    config = json.loads(texts["config.json"])
    run = Run.open(calibrated)
    assert config["labels"] == list(run.classes)
    tensors = load_file(output / "model.safetensors")
    np.testing.assert_array_equal(tensors["class_vectors"].numpy(), run.class_vectors)
    # A projection by hand from the stored weights: two layers with a ReLU between them.
    encoder = run._encoder
    features = encoder.features([Image.open(image_tree / "cat" / "00.png").convert("RGB")])
    hidden = features @ tensors["projection.0.weight"].numpy().T
    hidden = np.maximum(hidden + tensors["projection.0.bias"].numpy(), 0)
    rows = hidden @ tensors["projection.3.weight"].numpy().T + tensors["projection.3.bias"].numpy()
    np.testing.assert_allclose(normalize_rows(rows), encoder.trained(features), atol=1e-5)
    network = encoder.backbone.network.state_dict()
    stored = {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")}
    assert stored.keys() == network.keys()
    assert all(torch.equal(stored[name], network[name]) for name in network)


def assert_same_labels(run: Run, folder: Path, files: list[Path]) -> None:
    """The exported model gives the five labels of the run, and about its similarities."""
    model = devise_exp.open_hub_folder(folder)
    assert model.labels == tuple(run.classes)
    expected = tag_images(run, run.embed(ImageFiles(map(str, files)))["devise"], 5)
    with Image.open(files[0]) as image:
        tags = model.tag([*files, image])
    assert [r.label for r in tags[: 5 * len(files)]] == [n for of in expected for n, _ in of]
    assert [r.label for r in tags[-5:]] == [n for n, _ in expected[0]]
    np.testing.assert_allclose(
        [r.similarity for r in tags[: 5 * len(files)]], [s for of in expected for _, s in of],
        atol=1e-4,
    )  # fmt: skip


def test_a_hub_folder_is_read_back_and_names_images_as_the_run(
    calibrated: Path, image_tree: Path, tmp_path: Path
) -> None:
    output = tmp_path / "hub"
    call("export", calibrated, "--format", "hub", "--output", output)
    files = sorted(image_tree.rglob("0[0-3].png"))
    assert_same_labels(Run.open(calibrated), output, files)
    config = json.loads((output / "config.json").read_text())
    damaged = (
        ("network", {"kind": "own"}, "does not describe its model.safetensors"),
        ("network", {"kind": "timm", "name": "hf_hub:nobody/x"}, "timm has no network"),
        ("network", {"kind": "torchvision", "arch": "resnet34", "layer": "pool"}, "another shape"),
        ("network", None, "its network is none that this package rebuilds"),
        ("projection", {"kind": "linear"}, "of another shape"),
        ("labels", ["cat"], r"1 labels for \(8, 50\) class vectors"),
        ("preprocess", {}, "does not describe"),
        ("preprocess", {**config["preprocess"], "crop": 10**9}, "a crop of"),
    )
    for key, value, words in damaged:
        (output / "config.json").write_text(json.dumps(config | {key: value}))
        with pytest.raises(InputError, match=words) as caught:
            devise_exp.open_hub_folder(output)
        assert "\n" not in str(caught.value)
    for text in ("[1]", "{", "{}"):
        (output / "config.json").write_text(text)
        with pytest.raises(InputError, match=r"config\.json: damaged"):
            devise_exp.open_hub_folder(output)
    (output / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
        devise_exp.open_hub_folder(output)


def test_what_cannot_be_exported_is_one_line_and_leaves_what_is_there(
    calibrated: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("mine")
    for arguments, wrong in (
        (["--output", tmp_path], "holds something else: give a new folder"),
        (["--output", tmp_path / "notes"], "holds something else"),
        (["--output", tmp_path / "x", "--format", "tflite"], "choose among onnx, hub"),
        (["--output", tmp_path / "x", "--licence", "mit"], "with --format hub"),
        (["--output", tmp_path / "x", "--format", "hub", "--licence", "a: b"], "the identifier"),
        (["--output", tmp_path / "x", "--vocabulary", "some"], "give all or a number of words"),
    ):
        output = call("export", calibrated, *arguments, code=2)
        assert wrong in output
        assert len(output.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
