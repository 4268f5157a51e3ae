"""From a config to a split that may be believed: overlaps, class folds and few classes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import TINY
from helpers.images import COLOURS, draw
from hydra.errors import InstantiationException
from omegaconf import DictConfig
from torchvision import models

from devise_exp.core.errors import InputError, user_message
from devise_exp.pipelines import checks, reevaluation, run
from devise_exp.pipelines.experiment_data import ExperimentData
from devise_exp.pipelines.prepare import prepare
from devise_exp.runs.folder import RunFolder
from devise_exp.training.checkpoint import BEST

KNOWN = (  # to ImageNet
    "tench", "goldfish", "ostrich", "bulbul", "jay", "magpie", "vulture", "axolotl", "bullfrog",
    "banjo", "accordion", "cello",
)  # fmt: skip
UNKNOWN = (
    "helicopter", "giraffe", "octopus", "sunflower", "bonsai", "raccoon", "skateboard", "waterfall",
    "windmill", "hibiscus", "cormorant", "menorah",
)  # fmt: skip
CLEAN = ("helicopter",)  # of the small images; ImageNet has cats, dogs, boats and airliners


@pytest.fixture(scope="module")
def config(composed: Callable[..., DictConfig], image_tree: Path) -> Callable[..., DictConfig]:
    """config("class_folds=2", ...) of the small images, with a backbone of ImageNet's classes."""

    def make(*overrides: str, root: Path = image_tree) -> DictConfig:
        return composed(
            "data=image_folder", f"data.root={root}", "word_vectors=random", "projection=linear",
            "trainer.max_epochs=1", "features.num_workers=0", "logger=none", "report=none",
            *overrides,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def wide_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve classes that ImageNet does not know and twelve that it does, of three images."""
    root = tmp_path_factory.mktemp("wide")
    for c, name in enumerate((*KNOWN, *UNKNOWN)):
        for i in range(3):
            draw(root / name / f"{i:02}.png", COLOURS["cat"], seed=10 * c + i)
    return root


def refusal(config: DictConfig, folder: Path) -> str:
    """The line that a run ends in, with nothing written."""
    with pytest.raises((InputError, InstantiationException)) as caught:
        run.train(config, folder)
    assert not folder.exists()
    line = user_message(caught.value)
    assert line is not None
    return line


# Parts of a published split


def test_a_published_split_is_used_as_the_line_says(
    config: Callable[..., DictConfig], image_tree: Path, tmp_path: Path
) -> None:
    for folder in image_tree.iterdir():
        for image in folder.iterdir():
            part = {"8": "valid", "9": "test"}.get(image.stem[-1], "train")
            target = tmp_path / "data" / part / folder.name / image.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, target)
    root = tmp_path / "data"
    line = refusal(config(root=root), tmp_path / "run")
    assert "give split=official (8 classes" in line
    line = refusal(config("data.parts=keep", root=root), tmp_path / "run")
    assert "give split=official, or data.parts=join" in line
    line = refusal(config("data.parts=join", "split=folders", root=root), tmp_path / "run")
    assert "leave out data.parts, or give another split" in line
    data = prepare(config("split=folders", "split.n_unseen=2", "class_folds=0", root=root))
    split, rows = data.split, data.dataset.rows
    assert [len(part) for part in (split.train, split.val, split.test)] == [48, 6, 6]
    assert {rows[i].split("/")[1] for i in split.test} == {"test"}
    few = config("split=folders", "subset.limit_per_class=1", "class_folds=0", root=root)
    assert len(prepare(few).split.train) == 6


@pytest.mark.parametrize("split", ["official", "folders", "base_to_new"])
def test_a_split_of_parts_is_left_out_of_folders_without_them(
    split: str, config: Callable[..., DictConfig], image_tree: Path, tmp_path: Path
) -> None:
    line = refusal(config(f"split={split}", root=image_tree), tmp_path / "run")
    assert f"leave out split={split}, which needs them" in line
    assert "data.parts" not in line
    typed = config(f"split={split}", "data.parts=keep", root=image_tree)
    assert "leave out data.parts=keep, which" in refusal(typed, tmp_path / "run")


# Overlaps


def strict(*unseen: str) -> tuple[str, ...]:
    return "split=named", f"split.unseen=[{','.join(unseen)}]", "split.clean=require"


def test_a_split_that_overlaps_is_refused_where_it_has_to_be_clean(
    config: Callable[..., DictConfig], wide_tree: Path, tmp_path: Path
) -> None:
    line = refusal(config(*strict("tench", "giraffe", "jay"), root=wide_tree), tmp_path / "run")
    for part in ("split.clean=require", "knew 2 of 3 unseen classes", "jay is jay",
                 "tench is tench", "split.clean=report"):  # fmt: skip
        assert part in line
    assert "\n" not in line
    result = prepare(config(*strict("giraffe", "octopus"), root=wide_tree))
    assert (result.split.clean, result.audit.overlapping) == ("require", ())


def test_an_overlap_by_kind_or_by_an_alias_is_refused(
    config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    line = refusal(config(*strict("dog")), tmp_path / "run")
    assert "dog includes" in line
    prepare(config(*strict(*CLEAN)))
    line = refusal(config(*strict(*CLEAN), "+labels.aliases.helicopter=tench"), tmp_path / "run")
    assert "helicopter is tench" in line


def test_a_class_that_is_not_identified_is_not_clean(
    config: Callable[..., DictConfig], image_tree: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(image_tree, tmp_path / "pictures")
    (root / "cat").rename(root / "zzqx")
    options = (*strict("zzqx", "helicopter"), "+labels.aliases.zzqx=said")
    line = refusal(config(*options, root=root), tmp_path / "run")
    for part in ("1 of 2 unseen classes are not identified", "(zzqx)", "++labels.aliases.zzqx=WORD",
                 "labels.stated_clean=", "clean=report"):  # fmt: skip
        assert part in line
    stated = prepare(config(*options, "labels.stated_clean=[zzqx]", root=root))
    assert stated.audit.verdicts(["zzqx"]) == {"zzqx": "clean (as stated)"}
    assert stated.about()["leak/unseen_unidentified"] == 0
    reported = prepare(config(*options, "split.clean=report", root=root))
    assert reported.about()["leak/unseen_unidentified"] == 1
    line = refusal(config(*options, "labels.stated_clean=[zzqy]", root=root), tmp_path / "run")
    assert "labels.stated_clean names 'zzqy'" in line
    assert "did you mean zzqx?" in line


def test_what_may_overlap_is_not_clean_until_a_person_says_so(
    config: Callable[..., DictConfig], wide_tree: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = shutil.copytree(wide_tree, tmp_path / "wide")
    (root / "giraffe").rename(root / "bike polo")
    options = (*strict("bike polo", "octopus"), "class_folds=0")
    line = refusal(config(*options, root=root), tmp_path / "run")
    for part in ("1 of 2 unseen classes may overlap with the pretraining", "bike polo has the part "
                 "bike", "labels.stated_overlapping=", "split=clean", "clean=report"):  # fmt: skip
        assert part in line
    data = prepare(config(*options, "split.clean=report", root=root))
    assert data.about()["leak/unseen_possible"] == 1
    assert data.audit.categories == frozenset()  # what only may overlap is not left out
    checks.announce(data)
    assert "1 of 2 unseen classes may overlap" in capsys.readouterr().err
    stated = prepare(config(*options, "labels.stated_clean=[bike polo]", root=root))
    assert stated.audit.verdicts(["bike polo"]) == {"bike polo": "clean (as stated)"}


def test_a_person_states_overlaps(
    config: Callable[..., DictConfig], wide_tree: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options = (*strict("giraffe", "octopus"), "class_folds=0")
    of = "labels.stated_overlapping"
    for option in (f"{of}=[giraffe]", f"{of}={{giraffe: Ice_Bear}}"):
        line = refusal(config(*options, option, root=wide_tree), tmp_path / "run")
        assert "knew 1 of 2 unseen classes (giraffe overlaps as stated" in line
    reported = (*options, "split.clean=report")
    data = prepare(config(*reported, f"{of}={{giraffe: Ice_Bear}}", root=wide_tree))
    (category,) = data.audit.categories
    assert "ice bear" in category
    assert data.pretraining is not None
    assert category not in data.pretraining.categories
    for option, part in (
        (f"{of}=[girafe]", "stated_overlapping names 'girafe', none of the 24 classes: did you"),
        (f"{of}={{giraffe: okapy}}", "okapy is none of the 1000 classes of the backbone's pretr"),
        (f"{of}=giraffe", f"{of}=giraffe: give a list of class names"),
    ):
        assert part in refusal(config(*reported, option, root=wide_tree), tmp_path / "run")
    both = (f"{of}=[giraffe]", "labels.stated_clean=[giraffe]")
    line = refusal(config(*reported, *both, root=wide_tree), tmp_path / "run")
    assert "labels.stated_clean and labels.stated_overlapping both name giraffe" in line
    seen = (*reported, "labels.stated_clean=[jay,octopus]")
    prepare(config(*seen, root=wide_tree))
    known = config(*strict("jay"), "split.clean=report", "labels.stated_clean=[jay]",
                   "class_folds=0", root=wide_tree)  # fmt: skip
    checks.announce(prepare(known))
    assert "labels.stated_clean names jay, which the audit finds" in capsys.readouterr().err


def test_a_sense_is_chosen_by_classes_without_words_too(
    config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    """As `look` has it: cricket among sports is no insect, though only it has a word vector."""
    named = ("cricket", "helicopter", "windmill", "skateboard", "menorah", "banjo")
    sports = ("judo", "archery", "fencing", "surfing", "rowing", "lacrosse", "javelin", "luge")
    for c, name in enumerate((*named, *sports)):
        for i in range(3):
            draw(tmp_path / "images" / name / f"{i}.png", COLOURS["cat"], seed=10 * c + i)
    words = tmp_path / "words.txt"
    words.write_text("".join(f"{name} {c} 1.0 {c * c}\n" for c, name in enumerate(named)))
    data = prepare(
        config(
            *strict("cricket", "helicopter"), "word_vectors=glove", f"word_vectors.path={words}",
            "labels.on_missing=drop", "class_folds=0", root=tmp_path / "images",
        )
    )  # fmt: skip
    assert set(data.split.classes) == set(named)
    assert data.audit.verdicts(["cricket"]) == {"cricket": "clean (another sense is cricket)"}


def test_split_clean_draws_classes_that_pass(
    config: Callable[..., DictConfig], wide_tree: Path, tmp_path: Path
) -> None:
    options = ("split=clean", "class_folds=2")
    drawn = []
    for seed in (0, 1, 1):
        data = prepare(config(*options, f"split.seed={seed}", "split.n_unseen=4", root=wide_tree))
        drawn.append([data.split.classes[c] for c in data.split.unseen])
        assert set(drawn[-1]) <= {*UNKNOWN}
        assert data.audit.count(drawn[-1]).startswith("4 clean, 0 overlapping")
        assert {*UNKNOWN} - {*drawn[-1]} >= {name for this in held_out(data) for name in this}
    assert drawn[0] != drawn[1] == drawn[2]
    assert data.class_audit.count(data.split.classes).startswith("12 clean, 12 overlapping")
    line = refusal(config(*options, "split.n_unseen=13", root=wide_tree), tmp_path / "run")
    assert "12 of 24 classes pass the overlap audit, fewer than split.n_unseen=13" in line
    file = tmp_path / "weights.pth"
    torch.save(models.resnet18().state_dict(), file)
    unknown = ("split=clean", "backbone=resnet18", f"backbone.weights={file}")
    line = refusal(config(*unknown, root=wide_tree), tmp_path / "run")
    assert "classes of the backbone's pretraining are unknown" in line
    parts = shutil.copytree(wide_tree, tmp_path / "parts" / "train")
    for c, folder in enumerate(sorted(parts.iterdir())):
        draw(parts.parent / "test" / folder.name / "00.png", COLOURS["dog"], seed=900 + c)
    published = ("split=clean", "data.parts=keep", "split.n_unseen=3", "class_folds=0")
    split = prepare(config(*published, root=parts.parent)).split
    assert {split.classes[c] for c in split.unseen} <= {*UNKNOWN}


# Aliases and merges from files


def test_missing_words_end_in_a_file_that_is_corrected_and_given_back(
    config: Callable[..., DictConfig],
    image_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = shutil.copytree(image_tree, tmp_path / "pictures")
    for old, new in (("cat", "大熊猫"), ("dog", "ampute football"), ("lion", "it's, a lyon")):
        (root / old).rename(root / new)
    glove = ("word_vectors=glove_6b_50d", *strict("ship", "boat"), "split.clean=report")
    with monkeypatch.context() as patch:
        patch.setenv("DEVISE_CACHE", str(tmp_path / "cache"))
        line = refusal(config(*glove, root=root), tmp_path / "run")
    (file,) = (tmp_path / "cache" / "labels").glob("*.csv")
    assert f"labels.aliases_file={file}" in line
    text = file.read_text(encoding="utf-8")
    assert "\nampute football,amputee football\n" in text
    file.write_text(text.replace("大熊猫,", "大熊猫,panda"), encoding="utf-8")
    result = prepare(config(*glove, f"labels.aliases_file={file}", root=root))
    words = {r.name: r.words for r in result.resolutions}
    assert words["大熊猫"] == ("panda",)
    assert words["ampute football"] == ("amputee", "football")


def test_aliases_and_merges_of_files_go_before_those_of_the_config(
    config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    aliases, merges = tmp_path / "aliases.yaml", tmp_path / "merges.csv"
    aliases.write_text("cat: kitten\n", encoding="utf-8")
    merges.write_text("class,other\nboat,ship\n", encoding="utf-8")
    files = (f"labels.aliases_file={aliases}", f"labels.merges_file={merges}")
    result = prepare(config(*strict(*CLEAN), "+labels.aliases.cat=tom", *files))
    words = {r.name: r.words for r in result.resolutions}
    assert words["cat"] == ("kitten",)
    assert "boat" not in words
    aliases.write_text("catt: kitten\n", encoding="utf-8")
    line = refusal(config(*strict(*CLEAN), files[0]), tmp_path / "run")
    assert "labels.aliases_file names 'catt', none of the 8 classes: did you mean cat?" in line
    dropped = config(*strict(*CLEAN), "+labels.aliases.catt=tom", "labels.on_unknown=drop")
    assert "catt" not in {r.name for r in prepare(dropped).resolutions}


# Class vectors


def vector_file(path: Path, **rows: str) -> tuple[str, str]:
    """Options of word vectors of the small images' classes: (1, 0 ...), (0, 1 ...) and so on."""
    lines = {
        name: " ".join("1" if i == j else "0" for j in range(len(COLOURS)))
        for i, name in enumerate(COLOURS)
    }
    path.write_text("".join(f"{n} {row}\n" for n, row in (lines | rows).items()), encoding="utf-8")
    return "word_vectors=glove", f"word_vectors.path={path}"


def test_two_classes_of_one_vector_are_refused_and_near_ones_named(
    config: Callable[..., DictConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = "1 0 0 0 0 0 0 0"
    same = vector_file(tmp_path / "same.txt", cat=row, dog=row)
    line = refusal(config(*strict(*CLEAN), *same), tmp_path / "run")
    assert "classes 'cat' and 'dog' have the same vector for different words" in line
    assert "++labels.merges.dog=cat" in line
    near = vector_file(tmp_path / "near.txt", cat=row, dog="1 0.1 0 0 0 0 0 0")
    checks.announce(prepare(config(*strict(*CLEAN), *near)))
    assert "1 pair of classes has nearly the same vector" in (err := capsys.readouterr().err)
    assert "cat and dog (0.995)" in err


def test_an_unseen_class_that_may_be_a_seen_one_is_named(
    config: Callable[..., DictConfig], image_tree: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = shutil.copytree(image_tree, tmp_path / "pictures")
    (root / "helicopter").rename(root / "aubergine")
    (root / "cat").rename(root / "eggplant")
    options = (*strict("aubergine"), "split.clean=report")
    checks.announce(prepare(config(*options, root=root)))
    (line,) = (x for x in capsys.readouterr().err.splitlines() if "same thing" in x)
    assert line == (
        "warning: aubergine (unseen) and eggplant (seen) may be the same thing: merge them by "
        "labels.merges (++labels.merges.aubergine=eggplant) if they are"
    )


def test_words_that_are_only_spelt_alike_are_named(
    config: Callable[..., DictConfig], image_tree: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = shutil.copytree(image_tree, tmp_path / "pictures")
    (root / "helicopter").rename(root / "helicoptr")
    vectors = vector_file(tmp_path / "vectors.txt")
    options = (*strict("helicoptr"), *vectors, "labels.on_missing=nearest", "split.clean=report")
    data = prepare(config(*options, root=root))
    checks.announce(data)
    err = capsys.readouterr().err
    assert "1 classes have the words spelt most like their names: helicoptr -> helicopter" in err
    assert data.about()["labels/nearest"] == 1


def test_where_the_pretraining_is_unknown_no_split_is_clean(
    config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(models.resnet18().state_dict(), file)
    options = (*strict(*CLEAN), "backbone=resnet18")
    line = refusal(config(*options, f"backbone.weights={file}"), tmp_path / "run")
    assert "classes of the backbone's pretraining are unknown" in line
    assert "clean=report" in line
    result = prepare(config(*options, "backbone.weights=null"))  # random weights know nothing
    assert result.audit.overlaps == ()


def test_a_wrong_word_for_clean(config: Callable[..., DictConfig], tmp_path: Path) -> None:
    line = refusal(config(*strict(*CLEAN), "split.clean=maybe"), tmp_path / "run")
    assert "split.clean=maybe: give report or require" in line


# Class folds and priors


def held_out(data: ExperimentData) -> list[list[str]]:
    return [[data.split.classes[c] for c in this] for this in data.held_out]


def test_class_folds_hold_out_clean_classes_where_there_are_enough(
    config: Callable[..., DictConfig], wide_tree: Path
) -> None:
    options = ("split=named", "split.unseen=[tench,giraffe]")
    two, three, auto = (
        held_out(prepare(config(*options, f"class_folds={n}", root=wide_tree)))
        for n in (2, 3, "auto")
    )
    assert [len(this) for this in two] == [4, 4]
    assert {name for this in (*two, *auto) for name in this} <= {*UNKNOWN} - {"giraffe"}
    assert auto[:2] == two
    assert len(auto) == 10  # of 22 seen classes
    # Eleven clean seen classes are too few for three sets.
    assert [len(this) for this in three] == [4, 4, 4]
    assert {name for this in three for name in this} & {*KNOWN}


@pytest.mark.parametrize(
    "option",
    [
        "class_folds=-1",
        "class_folds=1",
        "class_folds=9999",
        "class_folds=1.5",
        "class_folds=maybe",
        "class_folds=null",
        "class_folds=true",
        "prior.weights=[-1]",
        "prior.weights=[]",
        "prior.weights=much",
        "prior.temperature=0",
        "prior.top=1.5",
        "+prior.bottom=3",
    ],
)
def test_wrong_choices_end_in_one_line_before_anything_is_written(
    config: Callable[..., DictConfig], tmp_path: Path, option: str
) -> None:
    line = refusal(config(option), tmp_path / "run")
    assert option.split("=")[0].split(".")[-1] in line
    assert "\n" not in line


# Few classes


def test_two_seen_classes_are_enough_for_every_method(
    config: Callable[..., DictConfig], image_tree: Path, tmp_path: Path
) -> None:
    root = tmp_path / "pictures"
    for name in ("dog", "boat", "ship", "helicopter"):
        (root / name).mkdir(parents=True)
        for i in range(3):
            shutil.copy(image_tree / name / f"{i:02}.png", root / name)
    options = ("method=all", "split=named", "split.unseen=[ship,helicopter]", *TINY)
    values = run.train(config(*options, root=root), tmp_path / "run", quietly=True)
    folder = RunFolder.existing(tmp_path / "run")
    assert folder.prior() is None  # too few classes to hold any out
    assert all(folder.embedded(name).gamma is None for name in folder.method_names())
    assert len(folder.method_names()) == 19
    assert np.isfinite(list(values.values())).all()
    assert "unseen_clean/hit@1" in values
    assert "calibrated/H@1" not in values


def test_one_seen_class_is_refused(
    config: Callable[..., DictConfig], image_tree: Path, tmp_path: Path
) -> None:
    for name in ("cat", "dog"):
        shutil.copytree(image_tree / name, tmp_path / "pictures" / name)
    line = refusal(config("method=all", root=tmp_path / "pictures"), tmp_path / "run")
    assert "at least one unseen class and two seen ones" in line
    named = config("split=named", "split.unseen=[dog]", "method=all", root=tmp_path / "pictures")
    assert "names all but one of the 2 classes" in refusal(named, tmp_path / "run")


def test_classes_and_images_that_take_no_part_are_nowhere_in_the_run(
    config: Callable[..., DictConfig], composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    """Not among the candidates, nor in the run folder, from which the same figures come again."""
    arguments = config("method=none", "prior=none", "class_folds=0", "split.n_seen=3",
                  "split.train_per_class=2", "split=random", "split.n_unseen=2", *TINY)  # fmt: skip
    data = prepare(arguments)
    left_out = set(data.whole.classes) - set(data.split.classes)
    assert (len(data.split.seen), len(data.split.unseen), len(left_out)) == (3, 2, 3)
    assert data.class_vectors.shape[0] == len(data.resolutions) == 5
    assert [r.name for r in data.resolutions] == list(data.split.classes)
    assert data.about()["labels/missing"] == 0
    for part in (data.split.train, data.split.val, data.split.test, data.split.unseen_rows):
        this = [data.dataset.rows[row].split("/")[0] for row in part]
        assert this == [data.split.classes[c] for c in data.class_ids[part]]
    assert len(data.split.train) == 3 * 2

    figures = run.train(arguments, tmp_path / "run", quietly=True)
    folder = RunFolder(tmp_path / "run")
    assert {entry.name for entry in folder.classes()} == set(data.split.classes)
    assert len(folder.split().train) == 6
    ks = {f"all_unseen/hit@{k}" for k in (3, 5, 10)}
    assert ks & {*figures} == {"all_unseen/hit@3"}  # of five labels the first five are all
    again = reevaluation.evaluate(
        composed(f"run_dir={folder.path}", f"checkpoint=checkpoints/{BEST}", name="evaluate")
    )
    assert again["all/H@1"] == pytest.approx(figures["all/H@1"])
    assert again["unseen/hit@1"] == figures["unseen/hit@1"]


def test_copies_are_on_one_side_counted_named_and_dropped_on_request(
    config: Callable[..., DictConfig],
    image_tree: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of the split and of class folds, for a split of a person's own too."""
    root = shutil.copytree(image_tree, tmp_path / "photos")
    for i in range(4):
        shutil.copy(root / f"cat/0{i}.png", root / f"cat/0{i} copy.png")
    for i in range(3):
        shutil.copy(root / f"cat/0{i + 4}.png", root / f"helicopter/cat {i}.png")
        shutil.copy(root / f"boat/0{i}.png", root / f"dog/boat {i}.png")
    options = ("split=named", "split.unseen=[helicopter]")
    data = prepare(config(*options, root=root))
    about, rows = data.about(), data.dataset.rows
    content = [(root / row).read_bytes() for row in rows]
    parts = [data.split.train, data.split.val, data.split.test, data.split.unseen_rows]
    shown = [{content[row] for row in part} for part in parts]
    assert sum(map(len, shown)) == len(set().union(*shown)) == 80
    assert (about["data/copies"], about["data/copies_in_two_classes"]) == (10, 6)
    checks.announce(data)
    output = capsys.readouterr().err
    assert "10 copies of images, kept on one side of the split" in output
    assert "6 images are in two classes: boat/00.png = dog/boat 0.png; boat/01.png" in output
    task = data.task(np.zeros((len(rows), 4), np.float32), 0)
    for fold in data.class_folds(task):
        trained = {content[row] for row in (*fold.task.train, *fold.seen_rows)}
        assert not trained & {content[row] for row in fold.unseen_rows}
    dropped = prepare(config(*options, "copies.in_two_classes=drop", root=root))
    split = dropped.split
    taken = np.concatenate([split.train, split.val, split.test, split.unseen_rows])
    assert dropped.about()["data/copies_left_out"] == 12
    assert not {"boat/00.png", "dog/boat 0.png"} & {rows[row] for row in taken}
    assert prepare(config(root=image_tree)).about()["data/copies"] == 0
