"""A run of too few classes for a table ends in one line, whatever split has made them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.splits import data_of
from helpers.trees import grow, within
from helpers.xlsa17 import UNSEEN, small_run
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.data.class_sides import draw_clean, draw_unseen
from devise_exp.data.splits import named_split
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
    older.class_folds = 2  # which that version took for none, of so few classes
    assert prepare(older).held_out == ()


def test_a_look_refuses_what_a_training_refuses(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "data=image_folder", f"data.root={root / 'plain'}", "word_vectors=random",
        "split.n_unseen=1", "backbone=timm", "backbone.name=test_resnet",
        "backbone.pretrained=false",
    ]  # fmt: skip
    with pytest.raises(InputError, match="split random1 has 5 seen and 1 unseen classes, too few"):
        dry_run.preview(options, tmp_path, n=2)
    printed = " ".join("".join(capsys.readouterr()).split())
    assert "split random1 has 5 seen and 1 unseen classes, too few" in printed
    assert (tmp_path / "labels.csv").is_file()
    dry_run.preview([*options, "few_classes=allow"], tmp_path, n=2)


@pytest.mark.parametrize(
    ("classes", "unseen", "n_seen", "remedy"),
    [
        (9, 1, "null", "hold out 2 to 5 of the 9 classes, or train all the same with few_"),
        (6, 3, "null", "hold out 2 of the 6 classes, use data of more, or train"),
        (5, 1, "null", "use data of 6 classes or more (these have 5), or train all the same"),
        (4, 2, "null", "use data of 6 classes or more (these have 4), or train all the same"),
        (9, 2, "3", "give split.n_seen=4 or more, or null, or train all the same"),
    ],
)
def test_the_remedy_is_one_that_the_data_allow(
    composed: Callable[..., DictConfig], classes: int, unseen: int, n_seen: str, remedy: str
) -> None:
    names = [f"class {i}" for i in range(classes)]
    config = composed(f"split.n_seen={n_seen}")
    split = named_split(data_of(dict.fromkeys(names, 4)), names[:unseen],
                        n_seen=config.split.n_seen)  # fmt: skip
    with pytest.raises(InputError, match=re.escape(f": {remedy}")):
        require_classes(config, split)


@pytest.mark.parametrize(
    ("n_classes", "asked", "line"),
    [
        (9, 99, "split.n_unseen=99 of 9 classes: .*: give 2 to 5$"),
        (9, 8, ": give 2 to 5$"),
        (6, 5, ": give 2$"),
        (5, 4, ": use data with more classes$"),
    ],
)
def test_numbers_of_unseen_classes_that_are_offered_are_taken(
    n_classes: int, asked: int, line: str
) -> None:
    with pytest.raises(InputError, match=line):
        draw_unseen([f"class {i}" for i in range(n_classes)], asked, seed=0)


@pytest.mark.parametrize(
    ("clean", "offered"),
    [(0, "not identified): give classes that"), (1, "split.n_unseen=1 with few_classes=allow, or"),
     (2, "give split.n_unseen=2, or"), (4, "give split.n_unseen=2 to 4, or")],
)  # fmt: skip
def test_numbers_of_clean_classes_that_are_offered_are_taken(clean: int, offered: str) -> None:
    verdicts = {f"class {i}": "clean" if i < clean else "not identified" for i in range(30)}
    with pytest.raises(InputError, match=re.escape(offered)):
        draw_clean(verdicts, None, seed=0)


@pytest.mark.parametrize(
    ("kind", "remedy", "other"),
    [("overlapping", "use data with other classes", "stated_clean"),
     ("possibly overlapping", "state what you know to be clean", "a noun")],
)  # fmt: skip
def test_nothing_is_offered_that_changes_no_verdict(kind: str, remedy: str, other: str) -> None:
    with pytest.raises(InputError, match=f"pass the overlap audit.*{remedy}") as refused:
        draw_clean({f"class {i}": kind for i in range(30)}, None, seed=0)
    assert other not in str(refused.value)
