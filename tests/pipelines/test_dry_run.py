"""What is to be seen before training: the report of the labels, and the images of a batch."""

from __future__ import annotations

import csv
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from helpers.configs import SMALL_NETWORK
from helpers.images import COLOURS, draw
from PIL import Image
from typer.testing import CliRunner

from devise_exp.core import config
from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.pipelines import dry_run, labelled, prepare
from devise_exp.pipelines.training_sheet import training_tiles
from devise_exp.reports.contact_sheet import Tile
from devise_exp.ui.cli import images

SMALL = ["data=image_folder", *SMALL_NETWORK]


def options(tree: Path, *more: str) -> list[str]:
    return [*SMALL, f"data.root={tree}", *more]


def refused(match: str, *arguments: Any, **more: Any) -> None:
    """Look at what a training would refuse: the report is written all the same."""
    with pytest.raises(InputError, match=match):
        dry_run.preview(*arguments, **more)


def report(folder: Path) -> dict[str, dict[str, str]]:
    """labels.csv by class."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return {line["class"]: line for line in csv.DictReader(file)}


def tiles(tree: Path, seed: int, *more: str) -> list[Tile]:
    config = compose_config(options(tree, *more))
    images = labelled.read_labelled(config, "drop")
    split, backbone = labelled.read_split(config, images).split, prepare.read_backbone(config)
    return training_tiles(images, split, backbone, 12, seed)


def pixels(tile: Tile) -> np.ndarray:
    assert isinstance(tile.image, Image.Image)
    return np.asarray(tile.image, dtype=float)


def test_the_report_has_every_class_with_its_words_and_side(
    image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry_run.preview(options(image_tree, "split=named", "split.unseen=[ship,boat]"), tmp_path, n=5)
    lines = report(tmp_path)
    assert set(lines) == set(COLOURS)
    assert {name for name, line in lines.items() if line["side"] == "unseen"} == {"ship", "boat"}
    assert {(line["pictures"], line["how"]) for line in lines.values()} == {("10", "exact")}
    said = capsys.readouterr()
    printed = said.out
    assert "1 pair of unseen classes whose names are near each other" in said.err
    assert "may be confused: boat and ship (0." in said.err
    assert all(name in printed for name in COLOURS)
    assert "6 seen, 2 unseen" in printed
    assert (tmp_path / "pictures.html").read_text(encoding="utf-8").count("<img ") == 5
    with Image.open(tmp_path / "pictures.png") as sheet:
        assert len(sheet.getcolors(1 << 24)) > 5


def test_missing_classes_are_reported_with_near_spellings_and_by_their_alias(
    image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(image_tree, tmp_path / "tree")
    for name in ("elefantx", "zzqxqz"):
        draw(tmp_path / "tree" / name / "one.png", (9, 9, 9), seed=0)
    asked = options(
        tmp_path / "tree", "++labels.aliases.zzqxqz=umbrelax", "++labels.aliases.cat=kitten"
    )
    refused("^2 of 10 classes have no word vector", asked, tmp_path / "out", n=1)
    lines = report(tmp_path / "out")
    assert lines["elefantx"]["how"] == lines["zzqxqz"]["how"] == "missing"
    assert "elefant" in lines["elefantx"]["near"]
    assert "umbrella" in lines["zzqxqz"]["near"]
    assert lines["elefantx"]["side"] == ""
    assert (lines["cat"]["words"], lines["cat"]["how"]) == ("kitten", "alias")
    assert "7 exact, 1 alias, 2 missing" in capsys.readouterr().out


def test_a_look_refuses_what_a_training_refuses_in_the_same_line(
    image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ["data=image_folder", f"data.root={image_tree}"]  # the default backbone's classes
    for strict in (
        ["split=named", "split.unseen=[cat,helicopter]", "split.clean=require"],
        ["split=clean", "split.n_unseen=5"],
    ):
        with pytest.raises(InputError) as trained:
            prepare.prepare(compose_config([*known, *strict]))
        with pytest.raises(InputError) as looked:
            dry_run.preview([*known, *strict], tmp_path, n=1)
        assert str(looked.value) == str(trained.value)
        assert (tmp_path / "labels.csv").is_file()
    verdicts = {name: line["pretraining"] for name, line in report(tmp_path).items()}
    assert verdicts["helicopter"] == "clean"
    assert all(verdicts.values())
    assert "pretraining of all classes: " in capsys.readouterr().out


def test_the_names_that_split_clean_draws_make_the_same_split(
    image_tree: Path, tmp_path: Path
) -> None:
    file = tmp_path / "unseen.csv"
    few = "few_classes=allow"
    clean = options(image_tree, "split=clean", "split.n_unseen=1", "split.seed=3", few)
    dry_run.preview(clean, tmp_path / "out", n=1, unseen_file=file)
    named = options(image_tree, "split=named", f"split.unseen_file={file}", "split.seed=3", few)
    first, second = (prepare.prepare(compose_config(these)).split for these in (clean, named))
    assert first.fingerprint == second.fingerprint
    assert (first.name, second.name) == ("clean1", "named")
    with pytest.raises(InputError, match="no class sheep"):
        dry_run.preview(options(image_tree, "split=named", "split.unseen=[sheep]"), tmp_path, n=1,
                        unseen_file=tmp_path / "none.csv")  # fmt: skip
    assert not (tmp_path / "none.csv").exists()


def test_an_alias_for_a_missing_class_deals_no_class_anew(image_tree: Path, tmp_path: Path) -> None:
    shutil.copytree(image_tree, tmp_path / "tree")
    for i in range(4):
        draw(tmp_path / "tree" / "elefantx" / f"{i}.png", (9, 9, 9), seed=i)
    sides = []
    for more in ([], ["++labels.aliases.elefantx=elephant"]):
        with nullcontext() if more else pytest.raises(InputError, match="elefantx"):
            dry_run.preview(options(tmp_path / "tree", *more), tmp_path / "out", n=1)
        sides.append({name: line["side"] for name, line in report(tmp_path / "out").items()})
    assert sides[0] == sides[1]
    dry_run.preview(options(tmp_path / "tree", "labels.on_missing=drop"), tmp_path / "out", n=1)
    assert report(tmp_path / "out")["elefantx"]["side"] == ""


def test_options_of_ones_own(image_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "own/split").mkdir(parents=True)
    (tmp_path / "own/split/mine.yaml").write_text("defaults: [random]\nn_unseen: 3\n")
    app = typer.Typer()
    app.command()(images.look)
    arguments = [*options(image_tree), "split=mine", "--config-dir", str(tmp_path / "own")]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out"), "-n", "1"])
    assert result.exit_code == 0, result.output
    sides = [line["side"] for line in report(tmp_path / "out").values()]
    assert sides.count("unseen") == 3


def test_a_class_name_is_no_markup_and_no_formula(
    image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(image_tree, tmp_path / "tree")
    for name in ("[red]zzqxqz", "=1+1", "\x1b[31mzzq"):
        draw(tmp_path / "tree" / name / "one.png", (9, 9, 9), seed=0)
    refused("zzq", options(tmp_path / "tree"), tmp_path / "out", n=1)
    assert {"[red]zzqxqz", "'=1+1"} <= set(report(tmp_path / "out"))
    printed = capsys.readouterr().out
    assert "[red]zzqxqz" in printed
    assert r"\x1b[31mzzq" in printed
    assert "\x1b" not in printed


def test_a_split_that_cannot_be_made_is_part_of_the_report(
    image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options(image_tree, "split.n_unseen=7")
    refused(r"^split\.n_unseen=7 of 8 classes", asked, tmp_path, n=3)
    assert {line["side"] for line in report(tmp_path).values()} == {""}
    assert "split.n_unseen=7" in capsys.readouterr().out
    assert (tmp_path / "pictures.html").read_text(encoding="utf-8").count("<img ") == 3


def test_a_misspelt_class_of_the_split_is_refused_before_the_report(
    image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options(image_tree, "split=named", "split.unseen=[catt]")
    refused(r"^split\.unseen: no class catt in the data, .*: for catt, give cat", asked, tmp_path)
    assert "catt" not in capsys.readouterr().out
    assert not any(tmp_path.iterdir())


def test_without_images_there_is_the_report_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry_run.preview([], tmp_path)  # the default: Caltech-101's listing, without its images
    assert [path.name for path in tmp_path.iterdir()] == ["labels.csv"]
    assert report(tmp_path)["anchor"]["words"] == "ship anchor"
    assert "no images to show" in capsys.readouterr().err
    anchor = report(tmp_path)["anchor"]
    assert anchor["nearest words"]
    assert anchor["rank"].replace(",", "").isdigit()
    assert anchor["pretraining"] == "is a kind of hook"
    assert report(tmp_path)["dollar_bill"]["suspect"] == "far from the other classes"


@pytest.mark.parametrize("trainable", ["false", "true"])
def test_tiles_show_the_images_of_their_class_without_normalisation(
    image_tree: Path, trainable: str
) -> None:
    shown = tiles(image_tree, 0, f"backbone.trainable={trainable}")
    assert len({tile.title for tile in shown}) > 2
    for tile in shown:
        np.testing.assert_allclose(pixels(tile).mean(axis=(0, 1)), COLOURS[tile.title], atol=12)


def test_only_training_images_are_shown(image_tree: Path) -> None:
    shown = tiles(image_tree, 0, "split=named", "split.unseen=[ship,cat]")
    assert {tile.title for tile in shown}.isdisjoint({"ship", "cat"})


def test_the_seed_draws_and_augments(image_tree: Path) -> None:
    def sheet(seed: int, trainable: str) -> list[bytes]:
        shown = tiles(image_tree, seed, f"backbone.trainable={trainable}")
        return [pixels(tile).tobytes() for tile in shown]

    assert sheet(0, "true") == sheet(0, "true")
    assert sheet(0, "true") != sheet(1, "true")
    assert set(sheet(0, "true")).isdisjoint(sheet(0, "false"))  # the same images, augmented


def test_without_configs_there_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config, "CONF", tmp_path / "conf")
    with pytest.raises(InputError, match="install the package again"):
        dry_run.preview([], tmp_path)


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--unseen-file", "folder", "this is a folder: give a file to write"),
        ("--unseen-file", "file/unseen.txt", "file is no folder: give a file to write"),
        ("--out", "file", "this is a file: give a folder"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_work(
    image_tree: Path, tmp_path: Path, option: str, name: str, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    app = typer.Typer()
    app.command()(images.look)
    out = [] if option == "--out" else ["--out", str(tmp_path / "out")]
    arguments = [*options(image_tree), *out, option, str(tmp_path / name)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith(f"error: {option} {tmp_path / name}: ")
    assert line.endswith(words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize(
    "arguments",
    [["data=nope"], ["data.rot=1"], ["-n", "0"], ["data=image_folder", "data.root=/nowhere"]],
)
def test_wrong_input_is_one_line_and_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(images.look)
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.output.startswith("error:")
    assert len(result.output.splitlines()) == 1
    assert not (tmp_path / "out").exists()
