"""The command line for finished runs, on run folders that a real training made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.configs import ALONE, SMALL_NETWORK
from omegaconf import DictConfig
from typer.testing import CliRunner

from devise_exp.pipelines.run import train
from devise_exp.ui.cli.main import app


@pytest.fixture(scope="module")
def runs(
    composed: Callable[..., DictConfig],
    image_tree: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Path]:
    """Seeds 0 and 1 of one recipe, and seed 0 with another loss."""
    folder = tmp_path_factory.mktemp("runs")
    folders = []
    for i, options in enumerate((["seed=0"], ["seed=1"], ["seed=0", "loss=cosine"])):
        config = composed(
            "data=image_folder",
            f"data.root={image_tree}",
            *SMALL_NETWORK,
            "features.num_workers=0",
            "projection=linear",
            "trainer.max_epochs=1",
            "logger=none",
            *ALONE,
            *options,
        )
        train(config, folder / str(i))
        folders.append(folder / str(i))
    return folders


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_classes_prints_names_as_they_are_with_their_words_and_verdicts(tmp_path: Path) -> None:
    check = {"nearest": ["[b]", "forum"], "rank": 447, "distance": 0.948, "suspect": "far"}
    classes = [
        {"name": "[red]x[/red] :smile:", "seen": False, "words": ["[u]"], "how": "exact",
         "check": check},
        {"name": "zzyzx", "seen": False, "words": ["said"], "how": "alias"},
        {"name": "ewer", "seen": False, "words": ["jug"], "how": "alias"},
        {"name": "cat", "seen": True, "words": ["cat"], "how": "exact",
         "pretraining": "includes tabby"},
        {"name": "polo", "seen": False, "words": ["polo"], "how": "exact"},
    ]  # fmt: skip
    overlap = {"name": "ewer", "relation": "is", "category": "pitcher", "sense": "pitcher"}
    details = {
        "about": {
            "data": "d",
            "backbone": "b",
            "word_vectors": "w",
            "split/name": "s",
            "leak/checked_by": "words and kinds",
        },
        "leaks": [overlap],
        "skipped": [],
        "methods": {},
        "unidentified": ["zzyzx"],
        "possible": [{**overlap, "name": "polo", "relation": "has the part bike, of"}],
    }
    (tmp_path / "classes.json").write_text(json.dumps(classes))
    (tmp_path / "about.json").write_text(json.dumps(details))
    lines = {line.split("  ")[0].strip(): line for line in call("classes", tmp_path).splitlines()}
    named = lines["[red]x[/red] :smile:"]
    for part in ("[u]", "[b], forum", "448", "0.95", "far", "clean"):
        assert part in named
    assert "not identified" in lines["zzyzx"]
    assert "is pitcher" in lines["ewer"]
    assert "includes tabby" in lines["cat"]
    assert "possibly overlapping: has the part bike, of pitcher" in lines["polo"]


def test_show_prints_the_figures_of_the_run(runs: list[Path]) -> None:
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    output = call("show", runs[0])
    assert f"{100 * metrics['seen/hit@1']:.1f}" in output
    assert metrics["split/fingerprint"] in output


def test_compare_gives_the_mean_of_runs_that_differ_in_the_seed_alone(runs: list[Path]) -> None:
    figures = [json.loads((run / "metrics.json").read_text())["seen/hit@1"] for run in runs]
    (runs[0].parent / "multirun.yaml").write_text("Hydra's own, which a pattern finds too")
    output = call("compare", *runs[:2], runs[0].parent / "multirun.yaml")
    mean = 50 * sum(figures[:2])
    assert any(f" {mean:.{decimals}f} ±" in output for decimals in (0, 1))  # as the spread asks
    (line,) = [line for line in output.splitlines() if str(runs[0].parent) in line]
    assert line.split()[:2] == [f"{runs[0].parent}/{{0,1}}", "2"]
    assert "seed=" not in output


def test_a_link_to_a_run_is_that_run(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(runs[1])
    assert call("compare", *runs[:2], tmp_path / "latest") == call("compare", *runs[:2])


def test_compare_names_what_differs_and_gives_no_mean_of_it(runs: list[Path]) -> None:
    output = call("compare", runs[0], runs[2])
    lines = [line for line in output.splitlines() if str(runs[0].parent) in line]
    assert "loss=softmax" in lines[0]
    assert "loss=cosine" in lines[1]
    assert len(lines) == 2
    assert "seed=" not in output
    assert "mean" not in output
    assert "±" not in output


def test_compare_refuses_different_splits(runs: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs[0], other)
    metrics = json.loads((other / "metrics.json").read_text())
    (other / "metrics.json").write_text(json.dumps(metrics | {"split/fingerprint": "another"}))
    result = CliRunner().invoke(app, ["compare", str(runs[0]), str(other)])
    assert result.exit_code == 2
    assert result.output.startswith("error: different splits")
    assert len(result.output.splitlines()) == 1
    assert metrics["split/fingerprint"] in result.output
    assert str(other) in result.output


def test_classes_lists_unseen_classes_first_with_their_words(
    runs: list[Path], tmp_path: Path
) -> None:
    classes = json.loads((runs[0] / "classes.json").read_text())
    run = Path(shutil.copytree(runs[0], tmp_path / "run"))
    hierarchy = json.loads((run / "hierarchy.json").read_text())
    hierarchy["nodes"][0] = None  # a class of several senses
    (run / "hierarchy.json").write_text(json.dumps(hierarchy))
    lines = call("classes", run).splitlines()[1:]
    unseen = [entry for entry in classes if not entry["seen"]]
    assert [line.split()[0] for line in lines[: len(unseen)]] == [e["name"] for e in unseen]
    assert all("unseen" in line for line in lines[: len(unseen)])
    assert {line.split()[0] for line in lines[: len(classes)]} == {e["name"] for e in classes}
    rest = " ".join(lines[len(classes) :])
    assert "No column of what the backbone's own classifier calls the images: " in rest
    unplaced = [
        line for line in lines[: len(classes)] if "not placed: no sense, or several, in" in line
    ]
    assert len(unplaced) == 1
    assert (
        "no sense in the shipped hierarchy, or several, is placed by the whole WordNet 3.0" in rest
    )
    assert "WNSEARCHDIR=FOLDER" in rest


def test_a_class_name_is_no_markup_and_cannot_steer_the_terminal(
    runs: list[Path], tmp_path: Path
) -> None:
    other = shutil.copytree(runs[0], tmp_path / "run")
    classes = json.loads((other / "classes.json").read_text())
    names = ["[/x]", "[bold]x[/bold]", "\x1b[31mred", "back\\slash"]
    for entry, name in zip(classes, names, strict=False):
        entry["name"] = name
    (other / "classes.json").write_text(json.dumps(classes))
    printed = call("classes", other)
    for shown in ("[/x]", "[bold]x[/bold]", r"\x1b[31mred", "back\\slash"):
        assert any(line.startswith(f"{shown} ") for line in printed.splitlines()), shown
    (other / "report.md").write_text("# A run\n\nof \x1b[31mred\n")
    assert "\x1b[31m" not in call("show", other)


@pytest.mark.parametrize("command", ["show", "compare", "classes"])
def test_a_folder_that_is_no_run_is_one_line_and_exit_code_2(command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [command, str(tmp_path)])
    assert result.exit_code == 2
    assert result.output.startswith("error:")
    assert len(result.output.splitlines()) == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from devise_exp.ui.cli.main import app; "
        "print([m for m in ('torch', 'pytorch_lightning', 'wandb', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_damaged_file_of_a_run_is_one_line_and_exit_code_2(
    runs: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(runs[0], tmp_path / "run")
    (tmp_path / "run" / "classes.json").write_text("{")
    result = CliRunner().invoke(app, ["classes", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "classes.json: damaged" in result.output
