"""A finished run evaluated on the images of another folder."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from helpers.configs import ALONE
from helpers.images import COLOURS, draw
from omegaconf import DictConfig, OmegaConf

import devise_exp
from devise_exp.core.errors import InputError
from devise_exp.runs.folder import RunFolder


@pytest.fixture(scope="module")
def reevaluated(searchable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shared run, in whose folder these tests leave evaluations."""
    return shutil.copytree(searchable, tmp_path_factory.mktemp("reevaluated") / "run")


@pytest.fixture(scope="module")
def images(searchable: Path) -> Path:
    return searchable.parent / "images"


@pytest.fixture(scope="module")
def metrics(searchable: Path) -> dict[str, Any]:
    return read_json(searchable / "metrics.json")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def copied(rows: Iterable[str], images: Path, root: Path) -> Path:
    """A folder of the named images."""
    for row in rows:
        (root / row).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images / row, root / row)
    return root


def evaluated_rows(run: Path) -> list[str]:
    split = RunFolder(run).split()
    return [*split.test, *split.unseen]


def evaluated(run: Path, root: Path, *options: str) -> tuple[dict[str, float], Path]:
    """The metrics, and the folder of the evaluation."""
    values = devise_exp.evaluate(run, f"data.root='{root}'", *options)
    folders = (run / "evaluations").iterdir()
    return values, max(folders, key=lambda path: int(path.name))


def of_labels(values: dict[str, Any]) -> dict[str, Any]:
    """Every hit@k of the test images."""
    return {k: v for k, v in values.items() if "/hit@" in k and not k.startswith("val/")}


def test_the_runs_own_test_images_in_a_folder_give_its_metrics(
    reevaluated: Path, images: Path, metrics: dict[str, Any], tmp_path: Path
) -> None:
    before = (reevaluated / "metrics.json").read_bytes()
    root = copied(evaluated_rows(reevaluated), images, tmp_path / "more images")
    values, folder = evaluated(reevaluated, root)
    assert set(of_labels(values)) == set(of_labels(metrics))
    for key, value in values.items():
        if "hit@" in key or key.endswith(("/H@1", "/AUSUC")):
            assert value == metrics[key], key
        else:
            assert value == pytest.approx(metrics[key], abs=1e-6), key
    assert (reevaluated / "metrics.json").read_bytes() == before
    written = read_json(folder / "metrics.json")
    assert (written["data"], written["data/root"]) == ("more images", str(root.resolve()))
    assert written["data/images"] == len(evaluated_rows(reevaluated))
    assert written["split/name"] == "all images of the folder"
    assert written["split/fingerprint"] != metrics["split/fingerprint"]
    assert "more images, resnet18" in (folder / "report.md").read_text(encoding="utf-8")


def test_training_images_in_the_folder_are_left_out_by_content(
    reevaluated: Path, images: Path, metrics: dict[str, Any], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = shutil.copytree(images, tmp_path / "all")
    (root / "cat" / "00.png").rename(root / "cat" / "renamed.png")
    values, folder = evaluated(reevaluated, root)
    assert values["seen/hit@1"] == metrics["seen/hit@1"]
    assert values["unseen/hit@1"] == metrics["unseen/hit@1"]
    split = RunFolder(reevaluated).split()
    copies = read_json(folder / "images.json")["copies_of_training_images"]
    assert len(copies) == len(split.train) + len(split.val)
    assert "trained or validated on these images: " in capsys.readouterr().err
    with pytest.raises(InputError, match=r"all 1 images are copies of images that .* trained"):
        evaluated(reevaluated, copied(split.train[:1], images, tmp_path / "one"))


def test_an_older_run_that_knows_no_contents_says_so(
    reevaluated: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(reevaluated, tmp_path / "run")
    (run / "training_contents.json").unlink()
    _, folder = evaluated(run, images)
    assert read_json(folder / "metrics.json")["data/copies_of_training"] == "not checked"
    assert read_json(folder / "images.json")["images"]["cat"] == 10
    assert "does not say what its training images hold" in capsys.readouterr().err
    (run / "training_contents.json").write_text("[1")
    with pytest.raises(InputError, match=r"training_contents\.json: damaged"):
        evaluated(run, images)


def test_unknown_classes_end_the_command_or_are_left_out(
    reevaluated: Path, images: Path, metrics: dict[str, Any], tmp_path: Path
) -> None:
    root = copied(evaluated_rows(reevaluated), images, tmp_path / "some")
    draw(root / "Boat" / "1.png", (1, 2, 3), seed=1)
    draw(root / "zebra" / "1.png", (1, 2, 3), seed=2)
    n = len(list((reevaluated / "evaluations").glob("*")))
    with pytest.raises(InputError) as raised:
        evaluated(reevaluated, root)
    line = str(raised.value)
    assert "2 of its 10 classes are none of the 8 classes of" in line
    assert "Boat, zebra" in line
    assert "near Boat: boat" in line
    assert line.endswith("or leave them out (data.unknown=drop)")
    assert len(line.splitlines()) == 1
    assert len(list((reevaluated / "evaluations").glob("*"))) == n
    values, folder = evaluated(reevaluated, root, "data.unknown=drop")
    assert values["seen/hit@1"] == metrics["seen/hit@1"]
    assert read_json(folder / "images.json")["unknown_classes"] == ["Boat", "zebra"]
    draw(tmp_path / "other" / "zebra" / "1.png", (1, 2, 3), seed=2)
    with pytest.raises(InputError, match="1 of its 1 classes are none") as raised:
        evaluated(reevaluated, tmp_path / "other", "data.unknown=drop")
    assert "data.unknown=drop" not in str(raised.value)


def test_classes_without_images_stay_labels(
    reevaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [record.name for record in RunFolder(reevaluated).classes() if record.seen]
    for i in range(3):
        draw(tmp_path / "new" / names[0] / f"{i}.png", COLOURS[names[0]], seed=900 + i)
    values, folder = evaluated(reevaluated, tmp_path / "new")
    assert "seen/hit@1" in values
    assert not [key for key in values if key.startswith(("unseen", "all_unseen", "all/"))]
    assert values["method/chance/seen/hit@1"] == 1 / len(names)
    content = read_json(folder / "images.json")
    assert content["images"] == {names[0]: 3}
    assert len(content["classes_without_images"]) == 7
    assert "that have no image here, but stay labels: " in capsys.readouterr().err
    with pytest.raises(InputError, match=r"choose among seen, all_seen$"):
        evaluated(reevaluated, tmp_path / "new", "protocols=[unseen]")


def test_one_seen_class_and_an_unseen_one_have_a_tradeoff_among_all_labels(
    reevaluated: Path, images: Path, metrics: dict[str, Any], tmp_path: Path
) -> None:
    split, records = RunFolder(reevaluated).split(), RunFolder(reevaluated).classes()
    unseen = next(record.name for record in records if not record.seen)
    seen = split.test[0].split("/")[0]
    root = copied(
        [row for row in evaluated_rows(reevaluated) if row.split("/")[0] in (seen, unseen)],
        images, tmp_path / "two",
    )  # fmt: skip
    values, _ = evaluated(reevaluated, root)
    assert {"all/H@1", "all/AUSUC", "all_unseen/hit@1"} <= set(values)
    # With seen labels moved far away the unseen image is ranked among the unseen labels alone.
    assert 0 <= values["all/AUSUC"] <= values["unseen/hit@1"]


def test_an_empty_folder_and_wrong_options_are_one_line(reevaluated: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "classes" / "cat").mkdir(parents=True)
    (tmp_path / "notes.md").write_text("some words")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    for root, options, words in [
        ("empty", [], "empty"),
        ("classes", [], "classes"),
        ("nowhere", [], r"nowhere does not exist: give .* a table .* shards .* save_to_disk wrote"),
        ("notes.md", [], "not a table or shard that is read here: give a folder"),
        ("bad.csv", [], "which column is the image"),
        ("bad.csv", ["data.levels=2"], "which column is the image"),
        ("empty", ["data.levels=0"], r"data\.levels=0: give"),
        ("empty", ["data.parts=keep"], r"data\.parts=keep: give join"),
        ("empty", ["data.unknown=no"], r"data\.unknown=no: give error or drop"),
        ("empty", ["data.name=x"], "name"),
    ]:
        with pytest.raises(InputError, match=words) as raised:
            evaluated(reevaluated, tmp_path / root, *options)
        assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(InputError, match=r"data\.levels=2: .*data\.root"):
        devise_exp.evaluate(reevaluated, "data.levels=2")


@pytest.mark.parametrize(
    ("group", "options"),
    [("backbone", []), ("projection", []), ("word_vectors", ["extra_labels=[zebra]"])],
)
def test_parts_of_somebody_are_refused_before_the_images_are_read(
    searchable: Path, tmp_path: Path, group: str, options: list[str]
) -> None:
    run = shutil.copytree(searchable, tmp_path / "run")
    config = OmegaConf.load(run / "config.yaml")
    config[group] = {"_target_": "somebody.part"}
    OmegaConf.save(config, run / "config.yaml")
    with pytest.raises(InputError, match=f"'somebody.part' as the {group}.*if you trust it, add"):
        evaluated(run, tmp_path / "nowhere", *options)


def test_folders_of_a_split_are_one_of_them_or_all_together(
    reevaluated: Path, images: Path, metrics: dict[str, Any], tmp_path: Path
) -> None:
    split = RunFolder(reevaluated).split()
    copied(split.train, images, tmp_path / "sets" / "train")
    copied(evaluated_rows(reevaluated), images, tmp_path / "sets" / "test")
    with pytest.raises(InputError, match=r"split \(train, test\).*sets/test\), or .*parts=join"):
        evaluated(reevaluated, tmp_path / "sets")
    for root, options in (("sets/test", []), ("sets", ["data.parts=join"])):
        values, _ = evaluated(reevaluated, tmp_path / root, *options)
        assert values["unseen/hit@1"] == metrics["unseen/hit@1"]
        assert values["seen/hit@1"] == metrics["seen/hit@1"]


def test_classes_are_matched_in_any_unicode_form_and_through_merges(
    composed: Callable[..., DictConfig], image_tree: Path, tmp_path: Path
) -> None:
    from devise_exp.pipelines import run

    images = shutil.copytree(image_tree, tmp_path / "images")
    (images / "cat").rename(images / "crème")
    (tmp_path / "words.csv").write_text("crème,cat\n", encoding="utf-8")
    (tmp_path / "merges.csv").write_text("ship,boat\n", encoding="utf-8")
    config = composed(
        "data=image_folder", f"data.root={images}", "backbone=timm", "backbone.name=test_resnet",
        "backbone.pretrained=false", "projection=linear", "trainer.max_epochs=1",
        "features.num_workers=0", "logger=none", "word_vectors=random", "split.n_unseen=2",
        "++labels.merges.tiger=lion", f"labels.aliases_file={tmp_path / 'words.csv'}",
        f"labels.merges_file={tmp_path / 'merges.csv'}", *ALONE,
    )  # fmt: skip
    run.train(config, tmp_path / "run", quietly=True)
    (images / "crème").rename(images / unicodedata.normalize("NFD", "crème"))
    values, folder = evaluated(tmp_path / "run", images)
    metrics = read_json(tmp_path / "run" / "metrics.json")
    assert of_labels(values) == of_labels(metrics)
    assert not read_json(folder / "images.json")["unknown_classes"]
    (tmp_path / "merges.csv").unlink()
    with pytest.raises(InputError, match=r"1 of its 8 classes are none of the 6 classes .*: ship "):
        evaluated(tmp_path / "run", images)


def test_a_run_on_published_features_has_no_network_for_other_images(
    xlsa17_config: Callable[..., DictConfig], tmp_path: Path
) -> None:
    from devise_exp.pipelines import run

    run.train(xlsa17_config(*ALONE), tmp_path / "run", quietly=True)
    name = RunFolder(tmp_path / "run").classes()[0].name
    draw(tmp_path / "images" / name / "1.png", (1, 2, 3), seed=1)
    with pytest.raises(InputError, match="no other image can be embedded"):
        evaluated(tmp_path / "run", tmp_path / "images")
    assert not (tmp_path / "run" / "evaluations").exists()
