"""A finished run in Python: metrics, tables, and answers that show themselves."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import devise_exp as de
from devise_exp.core.errors import InputError
from devise_exp.search.answers import find_images
from devise_exp.search.tags import best_cosines, embed_files, tag_images


@pytest.fixture(scope="module")
def run(searchable: Path) -> de.Run:
    return de.open_run(searchable)


def test_metrics_are_those_of_the_file(run: de.Run, searchable: Path) -> None:
    written = json.loads((searchable / "metrics.json").read_text())
    assert {name: written[name] for name in run.metrics} == run.metrics
    assert run.metrics.about["split/fingerprint"] == written["split/fingerprint"]
    frame = run.metrics.to_pandas()
    row = frame[(frame.protocol == "unseen") & (frame.k == 1) & (frame.average == "class")]
    assert row.value.tolist() == [written["unseen/hit@1/class_mean"]] * len(row)
    assert len(frame) == len(run.metrics.records)
    assert pickle.loads(pickle.dumps(run.metrics)) == run.metrics
    with pytest.raises(KeyError, match=r"no metric unseen/hit@: did you mean unseen/hit@1"):
        run.metrics["unseen/hit@"]


def test_without_pandas_the_extra_is_named(run: de.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # as where it is not installed
    with pytest.raises(
        InputError, match=r"to_pandas needs pandas: pip install 'devise-exp\[tables"
    ):
        run.metrics.to_pandas()


def test_tables_are_those_of_the_files(run: de.Run, searchable: Path) -> None:
    results = pd.read_csv(searchable / "results.csv")
    frame = run.table().to_pandas()
    assert frame.hit.tolist() == results.hit.tolist()
    assert "unseen among unseen" in str(run.table())
    methods = run.table("methods")
    assert methods.to_pandas()["seen/hit@1/class_mean"][0] == run.metrics["seen/hit@1/class_mean"]
    assert methods.to_markdown().startswith("| method |")
    with pytest.raises(InputError, match="choose among hits, methods"):
        run.table("metrics")


def test_predictions_are_those_of_the_file_and_give_its_metrics(
    run: de.Run, searchable: Path
) -> None:
    predictions = run.predictions()
    frame = predictions.to_pandas()
    written = pd.read_csv(searchable / "predictions.csv").dropna(axis=1, how="all")
    texts = written.select_dtypes(exclude="number").columns
    written[texts] = written[texts].fillna("")
    kept = frame[written.columns]
    pd.testing.assert_frame_equal(kept, written, check_dtype=False, rtol=1e-6)
    for protocol in ("seen", "unseen", "all_unseen"):
        ranks = [p.rank for p in predictions if p.protocol == protocol]
        assert np.mean([rank == 1 for rank in ranks]) == run.metrics[f"{protocol}/hit@1"]
    of_one = run.predictions(k=2, protocol="unseen")
    assert {(p.protocol, len(p.labels), len(p.similarities)) for p in of_one} == {("unseen", 2, 2)}
    wrong = [p for p in of_one if not p.right]
    assert all(p.labels[0] != p.class_name for p in wrong)
    for options, words in (({"k": 0}, "k is 0"), ({"protocol": "new"}, "choose among seen")):
        with pytest.raises(InputError, match=words):
            run.predictions(**options)


def test_compare_takes_runs_and_folders(run: de.Run, searchable: Path) -> None:
    table = de.compare([run, searchable])  # the same run twice is one
    assert table.to_pandas()["unseen/hit@1/class_mean"][0] == run.metrics["unseen/hit@1/class_mean"]
    assert de.compare(run, methods=True).to_csv().count("\n") == 3
    for wrong, words in (([], "no run"), (["nowhere"], "nowhere")):
        with pytest.raises(InputError, match=words):
            de.compare(wrong)


def test_searches_are_those_of_the_command(run: de.Run, searchable: Path) -> None:
    hits = run.search("helicopter", among="unseen", k=3)
    answer = find_images(run, "helicopter", gallery="unseen", k=3)
    assert [(h.image, h.similarity) for h in hits] == [
        (hit.row.name, hit.similarity) for hit in answer.hits
    ]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert hits.to_pandas().image.tolist() == [hit.image for hit in hits]
    file = searchable.parent / "images" / "cat" / "00.png"
    assert len(run.similar(file, k=4, space="backbone")) == 4
    near = run.words("cat", k=3)
    assert [record.rank for record in near] == [1, 2, 3]
    assert near.to_pandas().columns.tolist() == ["rank", "word", "similarity"]


def test_tags_of_files_folders_and_images_in_memory(run: de.Run, searchable: Path) -> None:
    folder = searchable.parent / "images" / "cat"
    file = folder / "00.png"
    of_file = run.tag(file, k=3)
    assert [(r.label, r.similarity) for r in of_file] == tag_images(
        run, embed_files(run, [file]), 3
    )[0]
    assert {record.kind for record in run.tag(file, among="seen")} == {"seen"}
    assert len(run.tag(folder, k=2)) == 2 * len(list(folder.iterdir()))
    with Image.open(file) as image:
        mixed = run.tag([image, file], k=3)
    assert list(mixed.best) == ["image 0", str(file)]
    in_memory, on_disk = mixed[:3], mixed[3:]
    assert [r.label for r in in_memory] == [r.label for r in on_disk]
    assert np.allclose(
        [r.similarity for r in in_memory], [r.similarity for r in on_disk], atol=1e-5
    )
    words = run.tag(file, k=2, vocabulary=len(run.vocabulary))
    assert [record.kind for record in words] == ["", ""]
    assert {record.none_of_the_labels for record in (*mixed, *words)} == {None}


def test_an_image_under_the_threshold_of_the_run_is_of_none_of_the_labels(
    searchable: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(searchable, tmp_path / "run"))
    files = [searchable.parent / "images" / name / "00.png" for name in ("cat", "ship")]
    run = de.open_run(copy)
    cosines = best_cosines(run, embed_files(run, files))
    with np.load(copy / "embeddings/devise.npz") as archive:
        arrays = dict(archive)
    np.savez(copy / "embeddings/devise.npz", **arrays, none_threshold=cosines.mean())
    under = str(files[int(cosines.argmin())])
    run = de.open_run(copy)
    with Image.open(under) as image:
        tags = run.tag([*files, image], k=2)
    assert tags.unknown == (under, "image 2")
    assert [record.none_of_the_labels for record in tags if record.image == under] == [True] * 2
    assert tags._repr_html_().count("none of the labels") == 2
    assert run.tag(files, among="seen").unknown is None
    assert run.tag(files, vocabulary=100).unknown is None


def test_questions_take_files_images_and_lists_of_both(run: de.Run) -> None:
    gallery = run.gallery("all")
    files = [gallery.rows[i].path for i in (0, 9, 20)]
    with Image.open(files[0]) as image:
        in_memory = image.copy()
    (itself, *_) = run.similar(in_memory, k=1)
    assert (itself.image, itself.path) == (gallery.rows[0].name, files[0])
    assert itself.similarity == pytest.approx(1, abs=1e-4)
    vectors, query = gallery.index.vectors, run.search("cat", k=1)
    several = run.similar([files[0], Path(files[1]), in_memory], k=8)
    mean = (2 * vectors[0] + vectors[9]) / 3
    cosines = vectors @ (mean / np.linalg.norm(mean))
    assert not {files[0], files[1]} & {hit.path for hit in several}
    for hit in several:
        assert hit.similarity == pytest.approx(cosines[gallery.row_of(Path(hit.path))], abs=1e-4)
    best = max(c for i, c in enumerate(cosines) if i not in (0, 9))
    assert several[0].similarity == pytest.approx(best, abs=1e-4)
    assert several.title.startswith("3 images: nearest 8 of")
    assert run.search("cat", image=in_memory, k=1).title.startswith("an image and cat")
    assert [h.image for h in run.search("cat", image=None, k=1)] == [h.image for h in query]
    assert len(run.search("cat", k=np.int64(2))) == 2  # type: ignore[arg-type]
    assert list(run.tag([Path(files[2]), in_memory], k=1).best) == [files[2], "image 1"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: run.search(""), "the query is empty"),
        (lambda run: run.search("cat", k=0), "k is 0"),
        (lambda run: run.search("cat", among="nowhere"), "nowhere: no such folder"),
        (lambda run: run.tag("nowhere.png"), "nowhere.png"),
        (lambda run: run.similar([]), "no image is given"),
        (lambda run: run.search("cat", image=[3]), "int: no image: give a file"),
        (lambda run: run.similar("nowhere.png"), "nowhere.png"),
        (lambda run: run.tag([]), "no image is given"),
        (lambda run: run.tag(np.zeros((4, 4, 3))[0][0]), "no image: give a file"),
        (lambda run: run.tag(run.path / "nowhere"), "does not exist"),
        (lambda run: run.tag("a.png", among="some"), "choose among all, seen, unseen"),
        (lambda run: run.words("qqzzxx"), "no word vector for"),
        (lambda run: run.search(None), "search: text=None: give a text"),
        (lambda run: run.search(["ant", "dog"]), "text=.'ant', 'dog'.: give a text"),
        (lambda run: run.search("cat", k="3"), "search: k='3': give a whole number or None"),
        (lambda run: run.search("cat", k=2.0), "search: k=2.0: give a whole number"),
        (lambda run: run.search("cat", k=True), "search: k=True: give a whole number"),
        (lambda run: run.search("cat", among=3), "search: among=3: give a path"),
        (lambda run: run.words(None), "words: text=None: give a text"),
        (lambda run: run.tag(None), "NoneType: no image: give a file"),
        (lambda run: run.tag(b"x"), "bytes: no image: give a file"),
        (lambda run: run.tag("a.png", plain=1), "tag: plain=1: give True or False"),
        (lambda run: run.table(1), "table: kind=1: give a text"),
        (lambda run: run.predictions(k="x"), "predictions: k='x': give a whole number"),
        (lambda run: run.index_folder(None), "index_folder: folder=None: give a path"),
        (lambda run: de.open_run(None), "open_run: path=None: give a path"),
        (lambda run: de.open_hub_folder(3), "open_hub_folder: path=3: give a path"),
        (lambda run: de.evaluate(None), "evaluate: NoneType: no run: give a run or its folder"),
        (lambda run: de.compare(None), "compare: NoneType: no run: give a run or its folder"),
        (lambda run: de.compare([run, 3]), "compare: int: no run"),
        (lambda run: de.load_word_vectors(None), "word_vectors.path is None: give a path"),
    ],
    ids=[
        "empty",
        "k",
        "among",
        "file",
        "no query",
        "number",
        "no file",
        "none",
        "array",
        "folder",
        "kind",
        "word",
        "no text",
        "texts",
        "k text",
        "k float",
        "k bool",
        "among number",
        "no words",
        "tag nothing",
        "tag bytes",
        "plain number",
        "table number",
        "predictions text",
        "index nothing",
        "open nothing",
        "hub number",
        "evaluate nothing",
        "compare nothing",
        "compare number",
        "vectors nothing",
    ],
)
def test_a_wrong_question_is_one_line(ask, words: str, run: de.Run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words) as raised:
        ask(run)
    assert len(str(raised.value).splitlines()) == 1


def test_all_shows_itself_in_a_notebook_and_as_text(run: de.Run, searchable: Path) -> None:
    folder = searchable.parent / "images"
    images = sorted(folder.rglob("*.png"))[:30]
    results = [
        run, run.metrics, run.table(), run.table("methods"), run.search("cat", k=30),
        run.similar(images[0]), run.tag(images), run.words("cat"), de.compare(run),
        run.predictions(),
    ]  # fmt: skip
    for result in results:
        html = result._repr_html_()
        assert "<script" not in html
        assert len(html) < 400_000
        assert 0 < len(repr(result)) < 20_000
    assert len(repr(run).splitlines()) == len(repr(run.metrics).splitlines()) == 1
    grid = run.tag(images)._repr_html_()
    assert grid.count("data:image/jpeg;base64,") == 24
    assert "... and 6 more" in grid


def test_names_are_escaped(searchable: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(searchable, tmp_path / "<b>run"))
    file = tmp_path / "<script>alert(1)&.png"
    shutil.copy(searchable.parent / "images" / "cat" / "00.png", file)
    run = de.open_run(copy)
    for html in (run._repr_html_(), run.tag(file)._repr_html_()):
        assert "<script>" not in html
        assert "<b>run" not in html
    assert re.search("&lt;scr", run.tag(file)._repr_html_())


def test_a_damaged_run_shows_itself_as_its_error(searchable: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(searchable, tmp_path / "run"))
    (copy / "metrics.json").write_text("{")
    run = de.open_run(copy)
    assert "damaged" in run._repr_html_()
    assert str(copy) in repr(run)
    with pytest.raises(InputError, match="damaged"):
        run.table()
