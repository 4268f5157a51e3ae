"""A run of too few classes for a table ends in one line, whatever split has made them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.trees import grow, within
from helpers.xlsa17 import UNSEEN, small_run
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.pipelines import checks, dry_run
from devise_exp.pipelines.few_classes import require_classes
from devise_exp.pipelines.labelled import first_look
from devise_exp.pipelines.prepare import prepare

NAMES = ("cat", "dog", "lion", "tiger", "boat", "ship")
NAMED = ("split=named", "split.unseen_file=null")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six classes of four images, as they are and in published parts."""
    base = tmp_path_factory.mktemp("six")
    grow(base / "plain", *NAMES, images=4)
    grow(base / "parts", *within(["train", "test"], NAMES), images=4)
    return base


@pytest.fixture
def config(composed: Callable[..., DictConfig], root: Path) -> Callable[..., DictConfig]:
    def make(*options: str, tree: str = "plain") -> DictConfig:
        words = ("word_vectors=random", "features.num_workers=0")
        return composed("data=image_folder", f"data.root={root / tree}", *words, *options)

    return make


@pytest.mark.parametrize(
    ("tree", "few", "enough"),
    [
        ("plain", ["split.n_unseen=3"], ["split.n_unseen=2"]),
        ("plain", [*NAMED, "split.unseen=[cat]"], [*NAMED, "split.unseen=[cat,dog]"]),
        ("plain", [*NAMED, "split.unseen=[cat,dog]", "split.n_seen=3"],
         [*NAMED, "split.unseen=[cat,dog]", "split.n_seen=4"]),
        ("parts", ["split=folders", "split.n_unseen=1"], ["split=folders", "split.n_unseen=2"]),
    ],
    ids=["random", "named", "n_seen", "folders"],
)  # fmt: skip
def test_each_split_is_refused_and_allowed(
    config: Callable[..., DictConfig], tmp_path: Path, tree: str, few: list[str], enough: list[str]
) -> None:
    line = r"split \w+ has \d seen and \d unseen classes, too few .*: .*few_classes=allow$"
    with pytest.raises(InputError, match=line):
        first_look(config(*few, tree=tree), tmp_path / "run")
    assert first_look(config(*few, "few_classes=allow", tree=tree), tmp_path / "run") is not None
    assert first_look(config(*enough, tree=tree), tmp_path / "run") is not None


def test_a_published_split_too(
    composed: Callable[..., DictConfig], xlsa17_root: Path, tmp_path: Path
) -> None:
    options = small_run(xlsa17_root)
    assert first_look(composed(*options), tmp_path / "run") is not None
    first, second = UNSEEN
    joined = composed(*options, f"++labels.merges={{{first}: {second}}}")
    with pytest.raises(InputError, match=r"split \w+ has 4 seen and 1 unseen classes, too few"):
        first_look(joined, tmp_path / "run")
    joined.few_classes = "allow"
    assert first_look(joined, tmp_path / "run") is not None


def test_from_python_and_in_a_series_too(config: Callable[..., DictConfig]) -> None:
    """These train without the first look."""
    few = config("split.n_unseen=1", "backbone=timm", "backbone.name=test_resnet")
    few.backbone.pretrained = False
    data = prepare(few)
    with pytest.raises(InputError, match="5 seen and 1 unseen classes, too few"):
        checks.check(few, data)
    older = OmegaConf.masked_copy(few, [key for key in few if key != "few_classes"])
    require_classes(older, data.split)  # a run that an earlier version has begun goes on


def test_a_look_says_it_without_an_end(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "data=image_folder", f"data.root={root / 'plain'}", "word_vectors=random",
        "split.n_unseen=1", "backbone=timm", "backbone.name=test_resnet",
        "backbone.pretrained=false",
    ]  # fmt: skip
    dry_run.preview(options, tmp_path, n=2)
    printed = " ".join("".join(capsys.readouterr()).split())
    assert "split random1 has 5 seen and 1 unseen classes, too few" in printed
    assert (tmp_path / "labels.csv").is_file()
