"""The state of a run folder, and which files a run leaves in it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.configs import SMALL_NETWORK
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.pipelines import reevaluation, run
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import runs_in


def test_a_run_is_unfinished_until_it_is_finished(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "run")
    assert not folder.unfinished
    folder.begin(OmegaConf.create({"a": 1, "b": {"c": "${a}"}}))
    assert folder.unfinished
    assert OmegaConf.to_container(folder.config(), resolve=False) == {"a": 1, "b": {"c": 1}}
    with pytest.raises(InputError, match=r"did not finish: devise-exp train resume="):
        RunFolder.existing(folder.path)
    for read in (folder.report, lambda: runs_in([folder.path])):
        with pytest.raises(InputError, match=r"did not finish: devise-exp train resume="):
            read()
    folder.finish()
    assert not folder.unfinished
    assert RunFolder.existing(str(folder.path)).path == folder.path


def test_evaluations_count_up(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert [folder.new_evaluation().name for _ in range(11)] == [str(n) for n in range(1, 12)]
    (tmp_path / "evaluations/7").rmdir()
    (tmp_path / "evaluations/notes").mkdir()
    (tmp_path / "evaluations/²").mkdir()
    assert folder.new_evaluation().name == "12"


def test_evaluations_at_once_have_a_folder_apiece(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: folder.new_evaluation().name, range(80)))
    assert sorted(taken, key=int) == [str(n) for n in range(1, 81)]


def test_a_folder_that_is_no_run_folder(tmp_path: Path) -> None:
    for read in (lambda: RunFolder.existing(tmp_path), RunFolder(tmp_path).config):
        with pytest.raises(InputError, match="not a run folder"):
            read()


def test_a_folder_of_runs_names_one_that_it_has(tmp_path: Path) -> None:
    """A person who has a series on his hands reads what to give instead of its folder."""
    series, grid = tmp_path / "series", tmp_path / "multirun"
    for folder in (series / "split=10/seed=2", series / "split=9/seed=2", grid / "day/time/0"):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("seed: 2\n")
    (series / "seeds.yaml").write_text("seeds: 1\nsplit_seeds: 2\n")

    def read(path: Path) -> list[str]:
        lines = []
        run = RunFolder(path)
        for reading in (lambda: RunFolder.existing(path), run.config, run.report, run.classes):
            with pytest.raises(InputError) as refused:
                reading()
            lines.append(str(refused.value))
        return lines

    for line in read(series):
        assert "a series" in line
        assert f"none is finished: go on with it (devise-exp train resume={series})" in line
    for folder in (series / "split=10/seed=2", series / "split=9/seed=2", grid / "day/time/0"):
        (folder / "metrics.json").write_text("{}")
    for line in read(series):
        assert line.startswith(
            f"{series}: a series, which has a run folder for each split and seed"
        )
        assert line.endswith(f"give one of them, such as {series}/split=9/seed=2")
    for line in read(series / "split=10"):
        assert line.endswith(f"has some in it: give one of them, such as {series}/split=10/seed=2")
    for line in read(grid):
        assert line.endswith(f"has some in it: give one of them, such as {grid}/day/time/0")


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
        "data=image_folder", f"data.root={image_tree}", *SMALL_NETWORK,
        "features.num_workers=0", "logger=none", "projection=linear",
        "trainer.max_epochs=1", "class_folds=0",
    )  # fmt: skip
    run.train(config, folder)
    reevaluation.evaluate(composed(f"run_dir={folder}", name="evaluate"))
    return folder


def test_the_docstring_lists_every_file_and_no_other(trained: Path) -> None:
    text = RunFolder.__doc__ or ""
    result = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    result = {
        name for name in result if not name.startswith(("index/", "gallery/", "evaluations/"))
    }
    assert result == {
        "config.yaml", "classes.json", "class_vectors.npy", "split.json", "about.json",
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", "embeddings/devise.npz",
        "embeddings/softmax.npz", "embeddings/conse.npz", "embeddings/random_vectors.npz",
        "neighbours.npz", "metrics.json", "results.csv", "search.csv", "report.md",
        "hierarchy.json", "diagnostics.json", "report.html", "training_contents.json",
        "predictions.csv",
    }  # fmt: skip
    promised = {"config.yaml", "classes.json", "class_vectors.npy", "split.json", "about.json",
                "checkpoints/{best,last}.ckpt", "embeddings/MODEL.npz", "index/", "neighbours.npz",
                "metrics.json", "results.csv", "search.csv", "report.md", "wandb/",
                "evaluations/N/", "gallery/", "galleries/", "classifier.npz", "checkpoints/map/",
                "prior.npz", "hierarchy.json", "diagnostics.json", "report.html",
                "training_contents.json", "predictions.csv", "UNFINISHED"}  # fmt: skip
    assert all(name in text for name in promised)
    assert {p.name for p in (trained / "evaluations/1").iterdir()} == {
        "metrics.json", "results.csv", "search.csv", "report.md", "predictions.csv"
    }  # fmt: skip


def test_a_run_folder_names_no_image_by_its_place(trained: Path, image_tree: Path) -> None:
    """Rows and figures are the same wherever the images lie; config and gallery say where."""
    for name in ("split.json", "classes.json", "metrics.json", "about.json", "results.csv"):
        assert str(image_tree) not in (trained / name).read_text(encoding="utf-8")
