"""The run folder's files written and read back, and what a person is told of a damaged one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.outputs import method_output
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.data.splits import Split, named_split
from devise_exp.evaluation.leakage import Overlap
from devise_exp.evaluation.protocols import EmbeddedImages, MethodOutput
from devise_exp.pipelines import reevaluation, run
from devise_exp.runs.folder import RunFolder
from devise_exp.text.labels import Resolution

NAMES = ["cat", "dog", "ship", "éclair"]
ROWS = [f"{name}/{i}.png" for name in NAMES for i in range(5)]
LABELS = np.arange(4).repeat(5)
VECTORS = np.eye(4, 7, dtype=np.float32)


def split() -> Split:
    return named_split(NAMES, LABELS, ROWS, ["dog"])


def resolutions() -> list[Resolution]:
    return [Resolution(name, (name, "x"), "averaged") for name in NAMES]


def embedded(name: str = "devise") -> MethodOutput:
    rng = np.random.default_rng(0)
    seen, unseen = (rng.normal(size=(n, 7)).astype(np.float32) for n in (3, 5))
    return method_output(name, VECTORS, seen, np.array([0, 2, 3]), unseen, np.full(5, 1))


def test_a_run_is_unfinished_until_it_is_finished(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "run")
    assert not folder.unfinished
    folder.begin(OmegaConf.create({"a": 1, "b": {"c": "${a}"}}))
    assert folder.unfinished
    assert OmegaConf.to_container(folder.config(), resolve=False) == {"a": 1, "b": {"c": 1}}
    with pytest.raises(InputError, match=r"did not finish: python train\.py resume="):
        RunFolder.existing(folder.path)
    folder.finish()
    assert not folder.unfinished
    assert RunFolder.existing(str(folder.path)).path == folder.path


def test_classes_and_split_come_back(tmp_path: Path) -> None:
    folder, made = RunFolder(tmp_path), split()
    folder.save_classes(made, resolutions(), VECTORS, ROWS)
    assert folder.classes() == [
        {"name": n, "seen": n != "dog", "words": [n, "x"], "how": "averaged"} for n in NAMES
    ]
    assert "éclair" in (tmp_path / "classes.json").read_text(encoding="utf-8")
    np.testing.assert_array_equal(folder.class_vectors(), VECTORS)
    assert [ids.tolist() for ids in folder.class_ids()] == [[0, 2, 3], [1]]
    saved = folder.split()
    assert (saved["name"], saved["seed"]) == ("named", 0)
    assert saved["fingerprint"] == made.fingerprint
    for part, rows in (("train", made.train), ("val", made.val), ("test", made.test),
                       ("unseen", made.unseen_rows)):  # fmt: skip
        assert saved[part] == [ROWS[i] for i in rows]
    assert saved["unseen"] == [f"dog/{i}.png" for i in range(5)]


def test_embeddings_come_back_in_the_order_of_the_methods(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_about({}, [], [])
    assert folder.models() == ["devise"]
    methods: dict[str, dict[str, object]] = {
        "devise": {"prior/weight": 0.5}, "softmax": {}, "random_vectors": {}
    }  # fmt: skip
    for name in reversed(methods):
        folder.save_embedded(embedded(name))
    folder.save_about({}, [], [], methods)
    assert folder.models() == ["devise", "softmax", "random_vectors"]
    assert folder.chosen("devise") == {"prior/weight": 0.5}
    back, sent = folder.embedded("devise"), embedded()
    assert back.name == "devise"
    np.testing.assert_array_equal(back.class_vectors, sent.class_vectors)
    assert (list(back.parts), back.gamma, back.is_projection) == (["seen", "unseen"], None, False)
    _check_parts(back, sent)


def test_training_images_and_the_gamma_come_back_where_there_are_some(tmp_path: Path) -> None:
    sent = embedded()
    train = EmbeddedImages(sent.seen.vectors[::-1], np.array([3, 2, 0]))
    sent = replace(sent, parts=sent.parts | {"train": train}, gamma=0.25, is_projection=True)
    RunFolder(tmp_path).save_embedded(sent)
    back = RunFolder(tmp_path).embedded("devise")
    assert (list(back.parts), back.gamma, back.is_projection) == (list(sent.parts), 0.25, True)
    _check_parts(back, sent)


def _check_parts(back: MethodOutput, sent: MethodOutput) -> None:
    for part, images in sent.parts.items():
        np.testing.assert_array_equal(back.parts[part].vectors, images.vectors)
        np.testing.assert_array_equal(back.parts[part].class_ids, images.class_ids)


def test_what_the_figures_rest_on_comes_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    overlap = Overlap("dog", "canine, dog", "word", "dog")
    folder.save_about({"data": "x", "labels/missing": 2}, [overlap], ["a.png: broken"])
    assert folder.about() == {"data": "x", "labels/missing": 2}
    content = json.loads((tmp_path / "about.json").read_text())
    assert content["skipped"] == ["a.png: broken"]
    assert "dog" in content["leaks"][0].values()


def test_evaluations_count_up(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert [folder.new_evaluation().name for _ in range(11)] == [str(n) for n in range(1, 12)]
    (tmp_path / "evaluations/7").rmdir()
    (tmp_path / "evaluations/notes").mkdir()
    assert folder.new_evaluation().name == "12"


@pytest.mark.parametrize("name", ["classes.json", "class_vectors.npy", "embeddings/devise.npz",
                                  "about.json", "split.json"])  # fmt: skip
def test_a_file_that_is_gone_or_damaged_is_named(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path)
    folder.save_classes(split(), resolutions(), VECTORS, ROWS)
    folder.save_about({}, [], [])
    folder.save_embedded(embedded())
    readers: dict[str, Callable[[], object]] = {
        "classes.json": folder.classes,
        "class_vectors.npy": folder.class_vectors,
        "embeddings/devise.npz": lambda: folder.embedded("devise"),
        "about.json": folder.about,
        "split.json": folder.split,
    }
    content = (tmp_path / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"junk"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match=f"{name}.*train the run again"):
            readers[name]()
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"lacks {name}: train the run again"):
        readers[name]()


def test_a_folder_that_is_no_run_folder(tmp_path: Path) -> None:
    for read in (lambda: RunFolder.existing(tmp_path), RunFolder(tmp_path).config):
        with pytest.raises(InputError, match="not a run folder"):
            read()


def test_a_damaged_config_is_named(tmp_path: Path) -> None:
    for text in ("{", "- a list\n", ""):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(InputError, match=r"config\.yaml.*damaged"):
            RunFolder(tmp_path).config()


@pytest.fixture(scope="module")
def trained(
    composed: Callable[..., DictConfig],
    image_tree: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    config = composed(
        "data=image_folder", f"data.root={image_tree}", "backbone=resnet18",
        "backbone.weights=null", "features.num_workers=0", "logger=none", "projection=linear",
        "trainer.max_epochs=1", "class_folds=0",
    )  # fmt: skip
    run.train(config, folder)
    reevaluation.evaluate(composed(f"run_dir={folder}", name="evaluate"))
    return folder


def test_the_docstring_lists_every_file_and_no_other(trained: Path) -> None:
    text = RunFolder.__doc__ or ""
    found = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    found = {name for name in found if not name.startswith(("index/", "gallery/", "evaluations/"))}
    assert found == {
        "config.yaml", "classes.json", "class_vectors.npy", "split.json", "about.json",
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", "embeddings/devise.npz",
        "embeddings/softmax.npz", "embeddings/conse.npz", "embeddings/random_vectors.npz",
        "neighbours.npz", "metrics.json", "results.csv", "search.csv", "report.md",
        "hierarchy.json", "diagnostics.json", "report.html",
    }  # fmt: skip
    promised = {"config.yaml", "classes.json", "class_vectors.npy", "split.json", "about.json",
                "checkpoints/{best,last}.ckpt", "embeddings/MODEL.npz", "index/", "neighbours.npz",
                "metrics.json", "results.csv", "search.csv", "report.md", "wandb/",
                "evaluations/N/", "gallery/", "galleries/", "classifier.npz", "checkpoints/map/",
                "prior.npz", "hierarchy.json", "diagnostics.json", "report.html",
                "UNFINISHED"}  # fmt: skip
    assert all(name in text for name in promised)
    assert {p.name for p in (trained / "evaluations/1").iterdir()} == {
        "metrics.json", "results.csv", "search.csv", "report.md"
    }  # fmt: skip


def test_a_run_folder_names_no_image_by_its_place(trained: Path, image_tree: Path) -> None:
    """Rows and figures are the same wherever the images lie; config and gallery say where."""
    for name in ("split.json", "classes.json", "metrics.json", "about.json", "results.csv"):
        assert str(image_tree) not in (trained / name).read_text(encoding="utf-8")
