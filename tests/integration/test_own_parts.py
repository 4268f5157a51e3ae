"""The files of docs/how_to/own_parts.md as they stand: trained, evaluated, searched and resumed."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.configs import TINY
from helpers.own_process import OwnProcess
from helpers.paths import ROOT
from helpers.sweeps import spec
from omegaconf import DictConfig, OmegaConf
from typer.testing import CliRunner

import devise_exp
from devise_exp.core.config import compose_config
from devise_exp.core.errors import InputError
from devise_exp.pipelines import reevaluation
from devise_exp.pipelines.sweep.sweep import run_sweep
from devise_exp.pipelines.user_parts import use_user_parts
from devise_exp.runs.trusted_config import user_parts
from devise_exp.search.answers import find_images, nearest_words
from devise_exp.search.saved_run import Run
from devise_exp.ui.cli.main import app

PAGE = (ROOT / "docs" / "how_to" / "own_parts.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
# Group -> how the page names its part.
PARTS = {
    "loss": "loss._target_=my_loss.margin_loss",
    "projection": "projection._target_=my_projection.Gated",
    "optimizer": "optimizer._target_=my_optimizer.nesterov",
    "scheduler": "scheduler._target_=my_optimizer.halving",
    "backbone": "backbone._target_=my_backbone.colours",
    "word_vectors": "word_vectors._target_=my_words.spelling",
    "data": "data._target_=my_data.listed",
    "split": "split._target_=my_split.every_third",
    "method.nearest_mean": "+method.nearest_mean._target_=my_method.nearest_mean",
    "index": "index._target_=my_index.PlainIndex",
    "callbacks.count": "+callbacks.count._target_=my_callback.Count",
    "logger.lines": "+logger.lines._target_=my_logger.Lines",
}
OPTIONS = [
    "method=none", "logger=none", "report=none", *PARTS.values(),
    "loss.margin=0.3", "+optimizer.lr=0.1", "data.listing=images.tsv",
    "+method.nearest_mean._partial_=true", "trainer.max_epochs=2", "training.batch_size=16",
    "features.num_workers=0", "class_folds=0", *TINY,
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(image_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page, and a listing of images."""
    base = tmp_path_factory.mktemp("own")
    for name, text in FILES.items():
        (base / name).write_text(text)
    images = sorted(image_tree.rglob("*.png"))
    (base / "images.tsv").write_text("\n".join(f"{i.parent.name}\t{i}" for i in images))
    return base


def command(folder: Path, *words: str) -> tuple[int | None, str]:
    """The exit code of a command and what it said."""
    process = OwnProcess("-m", "devise_exp", *words, cwd=folder)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


@pytest.fixture(scope="module")
def trained(folder: Path) -> tuple[Path, str]:
    """A run of every part of the page at once, and what its training said."""
    code, errors = command(folder, "train", *OPTIONS, "hydra.run.dir=run")
    assert code == 0, errors
    return folder / "run", errors


@pytest.fixture
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the files is the working folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    for name in [name for name in sys.modules if (folder / f"{name}.py").is_file()]:
        del sys.modules[name]


def test_the_page_has_a_file_for_each_kind() -> None:
    named = {part.partition("=")[2].partition(".")[0] for part in PARTS.values()}
    assert {f"{name}.py" for name in named} == set(FILES)
    assert [part for part in PARTS.values() if part.lstrip("+") not in PAGE] == []


def test_training_uses_all_of_them_and_says_so_once(trained: tuple[Path, str]) -> None:
    run, errors = trained
    config = OmegaConf.load(run / "config.yaml")
    assert set(user_parts(config)) == set(PARTS)
    assert config.loss == {"_target_": "my_loss.margin_loss", "_partial_": True, "margin": 0.3}
    assert errors.count("parts of your own: ") == 1
    assert "loss=my_loss.margin_loss" in errors
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["backbone"], metrics["word_vectors"]) == ("colours4", "spelling")
    assert (metrics["data"], metrics["split/name"]) == ("listed", "every_third")
    assert "method/nearest_mean/unseen/hit@1" in metrics
    counted = (run.parent / "counted.txt").read_text().split()
    steps = metrics["training/steps"]
    assert counted == ["0", str(steps // 2), "1", str(steps)]
    lines = [json.loads(line) for line in (run / "lines.jsonl").read_text().splitlines()]
    assert lines[0] == {"step": None, "seed": 0}
    assert len([line for line in lines if "val/hit@1" in line]) == 2


def test_the_overrides_of_the_command_are_kept(trained: tuple[Path, str]) -> None:
    overrides = OmegaConf.load(trained[0] / ".hydra" / "overrides.yaml")
    assert {"loss=own", "++loss._target_=my_loss.margin_loss", "++loss.margin=0.3"} <= set(
        overrides
    )
    assert OmegaConf.load(trained[0] / ".hydra" / "hydra.yaml").hydra.job.name == "train"


def test_a_search_builds_them_in_a_trusted_folder(trained: tuple[Path, str], there: Path) -> None:
    folder = shutil.copytree(trained[0], there / "searched")
    run = devise_exp.open_run(folder, trust=True)
    answer = find_images(run, "boat", None, "all", 5)
    assert len(answer.hits) == 5
    image = Path(answer.hits[0].row.path or "")
    assert find_images(run, "", image, "unseen", 3).hits
    assert run.gallery("all").index.name == "plain"
    assert nearest_words(run, "boat", 1)[0][0] != "boat"
    assert run.index_folder(image.parent).added == 10
    assert run.gallery(str(image.parent)).index.name == "plain"
    tags = CliRunner().invoke(app, ["tag", str(folder), str(image), "--trust", "--format=csv"])
    assert len(tags.output.splitlines()) > len(run.classes) / 2
    refused = CliRunner().invoke(app, ["tag", str(folder), str(image)])
    assert "it would import index=my_index.PlainIndex" in refused.output


@pytest.mark.parametrize(
    ("ask", "part"),
    [
        (lambda run: run.gallery("all"), "index=my_index.PlainIndex"),
        (lambda run: run.vocabulary, "word_vectors=my_words.spelling"),
        (lambda run: run.embed([]), "backbone=my_backbone.colours"),
    ],
    ids=["index", "word_vectors", "backbone"],
)
def test_else_a_search_says_what_it_would_import(
    trained: tuple[Path, str], there: Path, ask: Callable[[Run], object], part: str
) -> None:
    with pytest.raises(InputError, match=rf"it would import {part}: if you trust it, add --trust"):
        ask(Run.open(trained[0]))
    assert "my_index" not in sys.modules


def test_an_evaluation_repeats_the_metrics(
    trained: tuple[Path, str], there: Path, tmp_path: Path, image_tree: Path
) -> None:
    run = shutil.copytree(trained[0], tmp_path / "run")

    def evaluate(*overrides: str) -> dict[str, float]:
        return reevaluation.evaluate(compose_config([f"run_dir={run}", *overrides], "evaluate"))

    metrics = json.loads((run / "metrics.json").read_text())
    with pytest.raises(InputError, match=r"index=my_index.PlainIndex: if you trust it, add"):
        evaluate()
    for overrides in ([], ["checkpoint=checkpoints/best.ckpt"]):
        again = evaluate("trust=true", *overrides)
        seen = {key: value for key, value in metrics.items() if key.startswith("seen/")}
        assert {key: again[key] for key in seen} == pytest.approx(seen)
    with pytest.raises(
        InputError, match=r"checkpoint=.*it would import .*loss=my_loss.margin_loss"
    ):
        evaluate("checkpoint=checkpoints/best.ckpt", "index=exact")
    assert evaluate("trust=true", f"data.root={image_tree}")["unseen/hit@1"] >= 0


def test_a_run_that_was_stopped_goes_on_in_a_trusted_folder(
    trained: tuple[Path, str], folder: Path
) -> None:
    run = shutil.copytree(trained[0], folder / "stopped")
    (run / "UNFINISHED").touch()
    before = (run / "metrics.json").read_text()
    (run / "metrics.json").unlink()
    code, errors = command(folder, "train", "resume=stopped")
    (line,) = errors.splitlines()
    assert code == 2
    assert "it would import " in line
    assert "loss=my_loss.margin_loss" in line
    assert line.endswith("if you trust it, add trust=true")
    code, errors = command(folder, "train", "resume=stopped", "--trust")
    assert code == 0, errors
    assert json.loads((run / "metrics.json").read_text()) == json.loads(before)


EXECUTOR = """
from helpers.sweeps import Here

class InThisProcess(Here):
    def __init__(self, folder: object, workers: object) -> None:
        pass
"""


def test_a_sweep_builds_them_if_it_is_trusted(there: Path) -> None:
    (there / "my_executor.py").write_text(EXECUTOR)
    (there / "study").mkdir()
    others = [option for option in OPTIONS if not option.startswith("loss.margin")]
    of_trials = [option for option in others if "callbacks" not in option]
    study = {"name": "mine", "space": {"loss.margin": [0.1, 0.5]}, "trials": 2, "round": 2}

    def sweep(overrides: list[str], *options: str) -> list[dict[str, str]]:
        OmegaConf.save(spec(**study, overrides=overrides), there / "study" / "mine.yaml")
        folder = run_sweep(["study=mine", "folder=swept", *options], there)
        with (folder / "trials.csv").open() as stream:
            return list(csv.DictReader(stream))

    with pytest.raises(InputError, match=r"study mine: .*loss=my_loss.margin_loss.*add trust=true"):
        sweep(of_trials)
    with pytest.raises(InputError, match=r"callbacks.count: a sweep trains without callbacks"):
        sweep(others, "trust=true")
    assert not (there / "swept").exists()
    executor = "executor._target_=my_executor.InThisProcess"
    trials = sweep(of_trials, "trust=true", executor)
    assert [row["state"] for row in trials] == ["complete", "complete"]
    assert {row["loss.margin"] for row in trials} <= {"0.1", "0.5"}


def test_a_loss_that_fails_in_the_middle_of_a_training_is_one_line(there: Path) -> None:
    (there / "late_loss.py").write_text(
        "import torch\n\ncalls = []\n\n\ndef late(embeddings, targets, class_vectors):\n"
        "    calls.append(1)\n    if len(calls) > 4:\n"
        "        raise ArithmeticError('the fifth batch')\n"
        "    return (embeddings - class_vectors[targets]).square().sum()\n"
    )
    options = [word for word in OPTIONS if not word.startswith(("loss", "logger", "+logger"))]
    late = ["loss._target_=late_loss.late", "logger=none", "hydra.run.dir=late"]
    code, errors = command(there, "train", *options, *late)
    assert code == 2
    *_, how, line = errors.strip().splitlines()
    assert re.search(r"the run is not finished; go on with: .*resume=\S+late trust=true", how)
    assert re.search(r"error: code of your own failed: ArithmeticError: the fifth batch", line)
    assert re.search(r"\(.*late_loss\.py, line 9\): mend it there", line)
    assert "Traceback" not in errors


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
def test_a_part_that_is_not_there_is_one_line(part: str, there: Path) -> None:
    needed = ["data.listing=images.tsv"] if part.startswith("data.") else []
    key, _, target = part.partition("=")
    use_user_parts(compose_config([part, *needed, *partial(key)]), quietly=True)
    config = compose_config([f"{key}={target}s_not_there", *needed])
    with pytest.raises(InputError, match=r"_target_=my_\w+\.\w+: my_\w+ has no \w+_not_there"):
        use_user_parts(config)
    extra = key.replace("_target_", "nosuch")
    config = compose_config([part, f"{extra}=1", *needed, *partial(key)])
    with pytest.raises(InputError, match=r"\.nosuch: \w+ takes no nosuch: it takes "):
        use_user_parts(config)


def partial(key: str) -> list[str]:
    return ["+method.nearest_mean._partial_=true"] if "method" in key else []


def test_a_class_is_a_loss_too(there: Path, composed: Callable[..., DictConfig]) -> None:
    import torch

    from devise_exp.pipelines.recipe import recipe_of

    (there / "loss_class.py").write_text(
        "import torch\n\nclass Scaled(torch.nn.Module):\n"
        "    def __init__(self, scale: float = 2.0) -> None:\n"
        "        super().__init__()\n        self.scale = scale\n\n"
        "    def forward(self, embeddings, targets, class_vectors):\n"
        "        return self.scale * (embeddings - class_vectors[targets]).square().sum()\n"
    )
    config = compose_config(["loss._target_=loss_class.Scaled", "loss.scale=3"])
    use_user_parts(config, quietly=True)
    loss = recipe_of(config, 100).new_loss()
    assert loss(torch.ones(2, 3), torch.tensor([0, 0]), torch.zeros(1, 3)) == 18
