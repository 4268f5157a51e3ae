"""The commands that ask a run, on one that was trained on images that are no longer there."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.images import COLOURS, draw
from omegaconf import OmegaConf
from PIL import Image
from typer.testing import CliRunner

from devise_exp.search.saved_run import Run
from devise_exp.search.tags import best_cosines, embed_files
from devise_exp.ui.cli.main import app

HEAVY = ("torch", "torchvision", "timm", "pytorch_lightning", "gensim", "wandb")
RIGHT, WRONG = '<span class="mark">right', '<span class="mark">wrong'


@pytest.fixture(scope="module")
def trained(searchable: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of a run, stored in two spaces, whose images are away."""
    folder = shutil.copytree(searchable, tmp_path_factory.mktemp("run") / "a run")
    config = OmegaConf.load(folder / "config.yaml")
    config.spaces = ["backbone"]
    OmegaConf.save(config, folder / "config.yaml")
    images = searchable.parent / "images"
    away = images.rename(images.with_name("away"))
    yield folder
    away.rename(images)


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def printed(*arguments: object) -> str:
    """What a command writes to stdout alone."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """The one line that a command ends with."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert result.output.startswith("error: ")
    assert len(result.output.splitlines()) == 1
    return result.output


def hits(output: str) -> list[str]:
    """The row names in the table of a search, in their order."""
    return [field for line in output.splitlines() for field in line.split() if field[-4:] == ".png"]


def test_words_find_images_that_are_not_on_disk_by_name(trained: Path) -> None:
    output = call("search", trained, "cat", "-k", 4, "--among", "test")
    gallery = Run.open(trained).gallery("test")
    assert f"cat: nearest 4 of {len(gallery)} images (test)" in output
    assert "4 of these 4 images are not on disk" in output
    names = [name for name in hits(output) if "/searches/" not in name]
    assert len(set(names)) == 4
    assert set(names) <= {row.name for row in gallery.rows}
    base = trained / "searches" / "cat_test"
    assert str(base / "page.html") in output.splitlines()
    assert sorted(path.name for path in base.iterdir()) == ["grid.png", "page.html"]
    page = (base / "page.html").read_text(encoding="utf-8")
    assert all(name in page for name in names)


def test_images_elsewhere_are_shown_and_marked_where_a_class_is_asked_for(
    trained: Path, image_tree: Path, tmp_path: Path
) -> None:
    common = ("search", trained, "--image-root", image_tree, "--out")
    output = call(*common, tmp_path / "1", "cat", "-k", 38)
    assert "not on disk" not in output
    page = (tmp_path / "1" / "page.html").read_text(encoding="utf-8")
    this = sum(row.label == "cat" for row in Run.open(trained).gallery("all").rows)
    assert page.count(RIGHT) == this
    assert page.count(WRONG) == 38 - this
    call(*common, tmp_path / "2", "ocean", "-k", 38)
    page = (tmp_path / "2" / "page.html").read_text(encoding="utf-8")
    assert RIGHT not in page
    assert WRONG not in page
    with Image.open(tmp_path / "1" / "grid.png") as grid:
        drawn = np.asarray(grid.convert("RGB").crop((60, 100, 160, 200))).mean(axis=(0, 1))
    first = np.asarray(Image.open(image_tree / hits(output)[0])).mean(axis=(0, 1))
    np.testing.assert_allclose(drawn, first, atol=10)


@pytest.mark.parametrize(
    ("arguments", "reading"),
    [
        (["-grass horse", "-k5"], "- grass + horse"),
        (["-k", "5", "-kangaroo horse"], "- kangaroo + horse"),
        (["-k5", "--", "-grass horse"], "- grass + horse"),
        (["-0.5*grass horse", "-k", "5"], "- 0.5*grass + horse"),
        (["2*cat sofa"], "2*cat + sofa"),
        (["horse -grass"], "horse - grass"),
    ],
)
def test_a_query_may_begin_with_a_minus(
    trained: Path, tmp_path: Path, arguments: list[str], reading: str
) -> None:
    n = 5 if len(arguments) > 1 else 12
    assert call("search", trained, "--out", tmp_path, *arguments).startswith(
        f"{reading}: nearest {n} of"
    )


def test_each_question_has_a_folder_of_its_own(trained: Path) -> None:
    before = set((trained / "searches").glob("*"))
    for query in ("horse -grass", "horse grass", "-grass horse", "/../../etc", "a" * 3 + " ship"):
        call("search", trained, query, "-k", 1)
    call("search", trained, "horse grass", "-k", 1, "--among", "unseen")
    created = set((trained / "searches").glob("*")) - before
    assert len(created) == 6
    assert {"horse_minus_grass", "horse_grass", "minus_grass_horse"} <= {p.name for p in created}


def test_any_image_is_searched_by_alone_and_with_words(trained: Path, tmp_path: Path) -> None:
    draw(tmp_path / "my [b]cat.png", (190, 40, 40), seed=77)
    image = tmp_path / "my [b]cat.png"
    alone = call("search", trained, "--image", image, "-k", 3, "--out", tmp_path / "out")
    assert alone.startswith("my [b]cat.png: nearest 3 of")
    similar = call("similar", trained, image, "-k", 3, "--out", tmp_path / "out")
    assert similar == alone
    both = call("search", trained, "-water", "--image", image, "--out", tmp_path / "out")
    assert both.startswith("my [b]cat.png and - water: nearest 12 of")
    other = call("similar", trained, image, "--space", "backbone", "--out", tmp_path / "out")
    assert other.startswith("my [b]cat.png: nearest 12 of")


def test_a_folder_is_indexed_and_searched(trained: Path, tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    for i, colour in enumerate(((190, 40, 40), (40, 40, 190), (30, 120, 200))):
        draw(photos / f"{i}.png", colour, seed=i)
    (photos / "broken.jpg").write_text("no image")
    output = call("index", trained, photos)
    assert "3 images: 3 added, 0 changed, 0 dropped, 1 skipped" in output
    assert "skipped broken.jpg: not an image" in output
    assert f"--among '{photos}'" in output
    (photos / "0.png").unlink()
    assert "2 images: 0 added, 0 changed, 1 dropped, 1 skipped" in call("index", trained, photos)
    actual = call("search", trained, "boat", "--among", photos, "--out", tmp_path / "out")
    assert set(hits(actual)[:2]) == {"1.png", "2.png"}
    assert "label" not in actual
    assert "not on disk" not in actual


def test_images_get_words(trained: Path, image_tree: Path) -> None:
    files = [image_tree / "cat" / "00.png", image_tree / "ship" / "01.png"]
    lines = call("tag", trained, *files, "-k", 3).splitlines()
    assert [lines[0], lines[5]] == [str(file) for file in files]
    names = {line.split()[1] for line in lines if line[:1].isdigit()}
    assert names <= set(Run.open(trained).classes)
    words = [
        line.split()[1]
        for line in call("tag", trained, files[0], "--vocabulary", 50).splitlines()[2:]
    ]
    table = Run.open(trained).vocabulary
    assert len(words) == 5
    assert all((table.rank(word) or 0) < 50 for word in words)
    assert call("tag", trained, files[0], "--vocabulary", "all")


def test_tags_are_calibrated_and_say_so_unless_plain_ones_or_one_kind_are_asked_for(
    trained: Path, image_tree: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(trained, tmp_path / "run")
    with np.load(folder / "embeddings/devise.npz") as archive:
        arrays = dict(archive)
    np.savez(folder / "embeddings/devise.npz", **arrays, factor=np.array(1.5))
    saved, file = Run.open(folder), image_tree / "cat" / "00.png"
    seen, unseen = (saved.folder.class_ids()[side].size for side in (0, 1))
    line = f"calibrated: similarity of the {seen} seen labels lowered by gamma 1.5, chosen on"

    def kinds(*options: object) -> tuple[list[str], bool]:
        lines = call("tag", folder, file, *options).splitlines()
        assert lines[0] == str(file)
        rows = [text.split() for text in lines[2:] if text[:1].isdigit()]
        similarities = [float(row[-1]) for row in rows]
        assert similarities == sorted(similarities, reverse=True)
        assert lines[-1].startswith("calibrated: ") == (len(lines) > 2 + len(rows))
        return [row[-2] for row in rows], lines[-1].startswith(line)

    both = unseen * ["unseen"] + (8 - unseen) * ["seen"]  # gamma 1.5 is above any difference here
    assert kinds() == (both[:5], True)
    assert kinds("-k", 8, "--among", "all") == (both, True)
    plain, said = kinds("-k", 8, "--plain")
    assert (sorted(plain), said) == (sorted(both), False)
    assert plain != both
    assert kinds("--among", "unseen") == (unseen * ["unseen"], False)
    assert kinds("--among", "seen", "--plain") == (5 * ["seen"], False)
    words = call("tag", folder, file, "--vocabulary", 500).splitlines()
    assert words[-1].startswith("not calibrated: gamma was chosen for the run's labels")
    last = call("tag", trained, file).splitlines()[-1]
    assert last.startswith("not calibrated: the run chose no gamma")


def test_words_lists_neighbours(trained: Path) -> None:
    output = call("words", trained, "said", "-k", 3)
    assert [line.split()[1] for line in output.splitlines()[1:]] == ["told", "says", "spokesman"]
    few = call("words", trained, "-man king woman", "-k", 2, "--most-frequent", 100)
    assert len(few.splitlines()) == 3


def test_what_cannot_be_asked_is_one_line(trained: Path, image_tree: Path, tmp_path: Path) -> None:
    image = image_tree / "cat" / "00.png"
    (tmp_path / "broken.png").write_bytes(image.read_bytes()[:60])
    (tmp_path / "a file").write_text("")
    for arguments, wrong in (
        (["search", tmp_path, "cat"], "not a run folder"),
        (["search", trained], "the query is empty"),
        (["search", trained, "zzqqq"], "no word vector for 'zzqqq'"),
        (["search", trained, "cat", "-k", "-1"], "k is -1"),
        (["search", trained, "cat", "-k", "39"], "there are 38 images"),
        (["search", trained, "cat", "--among", "vla"], "vla: no such folder"),
        (["search", trained, "cat", "--among", tmp_path], "not indexed yet"),
        (["classes", tmp_path / "nowhere"], "no such folder: give a run folder"),
        (["search", trained, "cat", "--image-root", tmp_path], "none of these images"),
        (["search", trained, "--image", tmp_path / "broken.png"], "broken.png: damaged"),
        (["similar", trained, image, "--space", "classifier"], "stored in devise, backbone"),
        (["tag", trained, tmp_path / "broken.png"], "broken.png: damaged"),
        (["tag", trained, image, tmp_path / "nowhere.png"], "nowhere.png: does not exist"),
        (["tag", trained, image, "--format", "xml"], "--format xml: choose among table, csv, json"),
        (["words", trained, "cat", "--output", tmp_path / "x.xyz"], "give .csv, .json, .txt, or"),
        (["tag", trained, tmp_path, "--output", tmp_path / "tags"], "its ending names no format"),
        (["words", trained, "cat", "--output", tmp_path], "is a folder: give the path of a file"),
        (["tag", trained, image, "--vocabulary", "some"], "give all or a number"),
        (["tag", trained, image, "-k", "9"], "there are 8 labels"),
        (["tag", trained, image, "--among", "test"], "choose among all, seen, unseen"),
        (["tag", trained, image, "--among", "seen", "--vocabulary", "9"], "leave out one of the"),
        (
            ["tag", trained, image, "--space", "pretraining", "--among", "unseen"],
            "--among unseen with --space pretraining: .*: leave out one of the two",
        ),
        (
            ["tag", trained, image, "--space", "pretraining", "--plain"],
            "--plain with --space pretraining: .*: leave out one of the two",
        ),
        (
            ["tag", trained, image, "--space", "pretraining", "--plain", "--vocabulary", "9"],
            "--plain with --space pretraining",
        ),
        (["tag", trained, image, "--space", "devis"], "choose among devise, pretraining$"),
        (["search", trained, "cat", "--space", "x"], "choose among devise, pretraining$"),
        (
            ["similar", trained, image, "--space", "x"],
            "choose among devise, backbone, classifier, pretraining$",
        ),
        (["words", trained, "-man"], "only takes away"),
        (["words", trained, "man", "--most-frequent", "0"], "the 0 most frequent words"),
        (["index", trained, tmp_path / "nowhere"], "does not exist"),
        (["index", trained, tmp_path], "broken.png: damaged"),
    ):
        assert re.search(wrong, refused(*arguments).strip())
    result = CliRunner().invoke(
        app, ["search", str(trained), "cat", "--out", str(tmp_path / "a file")]
    )
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].endswith("a file: File exists: choose another --out")


def test_words_are_searched_without_the_libraries_of_training(trained: Path) -> None:
    code = (
        "import sys; from devise_exp.ui.cli.main import app\n"
        f"try: app(['search', {str(trained)!r}, 'cat -ship'])\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout.startswith("cat - ship: nearest 12 of 38 images (all)")


def test_a_folder_is_tagged_and_its_damaged_images_are_listed(
    trained: Path, image_tree: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(image_tree / "cat", tmp_path / "photos")
    (folder / "04.png").write_bytes((image_tree / "cat" / "04.png").read_bytes()[:60])
    (folder / "deep").mkdir()
    (folder / "00.png").rename(folder / "deep" / "00.png")
    files = [*sorted(folder.glob("*.png")), folder / "deep" / "00.png"]
    whole = call("tag", trained, folder, image_tree / "ship" / "01.png", "-k", 2)
    assert f"skipped {folder / '04.png'}: damaged" in whole
    text = printed("tag", trained, folder, "-k", 2, "--format", "csv")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["image"] for row in rows if row["rank"] in ("1", "")] == [str(f) for f in files]
    assert [row["image"] for row in rows if row["error"]] == [str(folder / "04.png")]
    assert {row["kind"] for row in rows} >= {"seen", ""}
    output = tmp_path / "new" / "tags.json"
    assert call("tag", trained, folder, "-k", 2, "--output", output).splitlines()[-1] == str(output)
    items = json.loads(output.read_text(encoding="utf-8"))
    assert [item["image"] for item in items] == [str(file) for file in files]
    assert [tag["label"] for item in items for tag in item["tags"]] == [
        row["label"] for row in rows if row["label"]
    ]
    assert [item["image"] for item in items if "error" in item] == [str(folder / "04.png")]
    before = output.read_bytes()
    refused("tag", trained, folder / "04.png", "--output", output)
    assert output.read_bytes() == before


def test_searches_and_words_are_given_out_for_programs(trained: Path, tmp_path: Path) -> None:
    before = sorted((trained / "searches").glob("*"))
    plain = hits(call("search", trained, "ship", "-k", 3, "--out", tmp_path))
    answer = json.loads(printed("search", trained, "ship", "-k", 3, "--format", "json"))
    assert [hit["image"] for hit in answer["hits"]] == [n for n in plain if n.count("/") == 1]
    assert [answer["query"], answer["n_images"]] == ["ship", 38]
    file = tmp_path / "hits.csv"
    call("search", trained, "ship", "-k", 3, "--output", file)
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["image"] for row in rows] == [hit["image"] for hit in answer["hits"]]
    assert [float(row["similarity"]) for row in rows] == [h["similarity"] for h in answer["hits"]]
    assert sorted((trained / "searches").glob("*")) == before  # a sheet is for people
    image = trained / "grid.png"
    draw(image, (190, 40, 40), seed=3)
    similar = json.loads(printed("similar", trained, image, "-k", 2, "--format", "json"))
    assert len(similar["hits"]) == 2
    words = json.loads(printed("words", trained, "said", "-k", 3, "--format", "json"))["words"]
    assert [word["word"] for word in words] == ["told", "says", "spokesman"]
    call("words", trained, "said", "-k", 3, "--output", tmp_path / "words.txt")
    assert "spokesman" in (tmp_path / "words.txt").read_text(encoding="utf-8")


def test_a_file_name_cannot_steer_the_terminal(
    trained: Path, tmp_path: Path, image_tree: Path
) -> None:
    (tmp_path / "odd").mkdir()
    shutil.copy(image_tree / "cat" / "00.png", tmp_path / "odd" / "a\x1b[31m\u202egnp.png")
    call("index", trained, tmp_path / "odd")
    output = call("search", trained, "cat", "--among", tmp_path / "odd")
    assert "\x1b[31m" not in output
    assert "\u202e" not in output
    assert "a\\x1b[31m\\u202egnp.png" in output


def test_a_folder_that_is_refused_leaves_nothing_in_the_run(trained: Path, tmp_path: Path) -> None:
    before = sorted(trained.rglob("*"))
    refused("index", trained, tmp_path / "nowhere")
    assert sorted(trained.rglob("*")) == before


def test_none_of_the_labels_is_said_under_the_threshold_of_the_run(
    trained: Path, image_tree: Path, tmp_path: Path
) -> None:
    files = [image_tree / name / "00.png" for name in ("cat", "ship", "dog")]
    run = shutil.copytree(trained, tmp_path / "run")
    with np.load(run / "embeddings/devise.npz") as archive:
        arrays = dict(archive)
    saved = Run.open(trained)
    cosines = best_cosines(saved, embed_files(saved, files))
    np.savez(
        run / "embeddings/devise.npz", **arrays, none_threshold=np.sort(cosines)[1].astype(float)
    )
    items = json.loads(printed("tag", run, *files, "--format", "json"))
    none = [item["none_of_the_labels"] for item in items]
    assert none == (cosines < np.sort(cosines)[1]).tolist()
    assert sum(none) == 1
    lines = call("tag", run, *files).splitlines()
    said = [i for i, line in enumerate(lines) if line.startswith("none of the labels: the best")]
    assert [lines[i - 1] for i in said] == [str(files[none.index(True)])]
    assert "none of the labels" not in call("tag", run, *files, "--among", "seen")
    assert "none_of_the_labels" not in printed("tag", trained, files[0], "--format", "json")


def test_a_file_name_that_is_no_utf_8_is_like_any_other(trained: Path, tmp_path: Path) -> None:
    image = tmp_path / os.fsdecode(b"sh\xffp.jpg")
    draw(tmp_path / "ship.jpg", COLOURS["ship"], seed=5)
    (tmp_path / "ship.jpg").rename(image)
    lines = printed("tag", trained, tmp_path, "--format", "csv").splitlines()[1:]
    assert {line.partition(",")[0] for line in lines} == {f"{tmp_path}/sh\\udcffp.jpg"}
    for words in (["similar", trained, image], ["search", trained, "ship", "--image", image]):
        assert "ship" in call(*words, "-k", 3)
