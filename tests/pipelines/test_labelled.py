"""What is looked at first: options, the run folder, names of classes, and then their images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.configs import TINY
from helpers.images import draw
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.pipelines.labelled import first_look, read_labelled

Config = Callable[..., DictConfig]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes of four images, and a cache that has seen none of them."""
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
    for name in ("cat", "dog", "emu"):
        for i in range(4):
            draw(tmp_path / "tree" / name / f"{i}.png", (9, 99, 9), seed=i)
    (tmp_path / "words.txt").write_text("cat 1 2\ndog 2 1\nemu 3 4\n")
    return tmp_path


def config_of(composed: Config, folder: Path, *more: str) -> DictConfig:
    words = ("word_vectors=glove", f"word_vectors.path={folder / 'words.txt'}")
    root = f"data.root={folder / 'tree'}"
    return composed("data=image_folder", root, *words, *TINY, *more)


def scans(folder: Path) -> list[Path]:
    return list((folder / "cache/scans").glob("*.json"))


def test_a_class_without_a_word_is_told_before_the_images_are_read(
    composed: Config, folder: Path
) -> None:
    draw(folder / "tree/zzqx/0.png", (1, 2, 3), seed=0)
    with pytest.raises(InputError, match="zzqx"):
        first_look(config_of(composed, folder), folder / "run")
    assert not scans(folder)
    dropped = read_labelled(config_of(composed, folder), "drop")
    assert [r.rule for r in dropped.resolutions] == ["exact"] * 3 + ["missing"]
    assert scans(folder)


def test_two_merged_classes_and_an_unknown_alias_too(composed: Config, folder: Path) -> None:
    with pytest.raises(InputError, match="tigre"):
        first_look(config_of(composed, folder, "++labels.aliases.tigre=cat"), folder / "run")
    assert not scans(folder)
    draw(folder / "tree/zzqx/0.png", (1, 2, 3), seed=0)
    merged = config_of(composed, folder, "++labels.merges.zzqx=cat")
    images = read_labelled(merged, "error")
    assert [r.name for r in images.resolutions] == ["cat", "dog", "emu"]


def test_a_class_of_no_good_image_needs_no_word(composed: Config, folder: Path) -> None:
    (folder / "tree/zzqx").mkdir()
    (folder / "tree/zzqx/0.png").write_bytes(b"no image")
    images = first_look(config_of(composed, folder), folder / "run")
    assert images is not None
    assert images.dataset.classes == ("cat", "dog", "emu")
    assert any(note.startswith("zzqx: no good image") for note in images.dataset.skipped)


def test_what_a_subset_leaves_out_needs_no_word(composed: Config, folder: Path) -> None:
    draw(folder / "tree/zzqx/0.png", (1, 2, 3), seed=0)
    config = config_of(composed, folder, "subset.min_images=4")
    assert first_look(config, folder / "run") is not None


def test_an_empty_run_folder_goes_and_one_of_a_run_is_not_looked_at(
    composed: Config, folder: Path
) -> None:
    (folder / "run").mkdir()
    with pytest.raises(InputError, match=r"^seed=-1: give a whole number"):
        first_look(config_of(composed, folder, "seed=-1"), folder / "run")
    assert not (folder / "run").exists()
    (folder / "run").mkdir()
    (folder / "run/config.yaml").touch()
    assert first_look(config_of(composed, folder), folder / "run") is None
    assert not scans(folder)
    (folder / "run/UNFINISHED").touch()
    goes_on = config_of(composed, folder, f"resume={folder / 'run'}")
    assert first_look(goes_on, folder / "other") is None


def test_an_error_is_not_its_own_reason(composed: Config, folder: Path) -> None:
    """Who walks from an error to its reasons comes to an end."""
    config = config_of(composed, folder, "data.strict=false")
    config.data.root = str(folder / "nowhere")
    with pytest.raises(InputError, match="nowhere") as caught:
        first_look(config, folder / "run")
    error: BaseException | None = caught.value
    for _ in range(10):
        error = error and (error.__cause__ or error.__context__)
    assert error is None
