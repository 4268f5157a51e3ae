"""Tags of images: the run's own calibrated rows, recomputed from what a person is told."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.images import COLOURS, draw

import devise_exp
from devise_exp.core.errors import InputError
from devise_exp.runs.folder import RunFolder
from devise_exp.search.neighbours import Neighbours
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import calibration_line, embed_files, tag_images

GAMMA = 0.35


@pytest.fixture(scope="module")
def chosen(series: tuple[Path, dict[str, float]]) -> Run:
    """A run that has chosen a gamma."""
    return Run.open(series[0] / "seed=1")


def with_gamma(run: Path, gamma: object) -> Run:
    """The run with another gamma; None for none."""
    file = run / "embeddings/devise.npz"
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive if name != "factor"}
    np.savez(file, **arrays, **({} if gamma is None else {"factor": np.asarray(gamma)}))
    return Run.open(run)


@pytest.fixture(scope="module")
def photographed(searchable: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose images are on disk, with a gamma."""
    folder = shutil.copytree(searchable, tmp_path_factory.mktemp("run") / "run")
    return with_gamma(folder, GAMMA)


def hits(tags: list[Neighbours], labels: list[str], k: int) -> float:
    """The share of images whose label is among their first k tags."""
    named = zip(tags, labels, strict=True)
    return float(
        np.mean([label in [name for name, _ in of_image[:k]] for of_image, label in named])
    )


@pytest.mark.parametrize(("part", "side"), [("test", "seen"), ("unseen", "unseen")])
def test_tags_of_the_evaluated_images_have_the_hits_of_its_tables(
    chosen: Run, part: str, side: str
) -> None:
    metrics = chosen.folder.path / "metrics.json"
    values = devise_exp.runs.results.read(metrics.parent).metrics
    gallery = chosen.gallery(part)
    labels = [row.label for row in gallery.rows]
    vectors = gallery.index.vectors
    assert chosen.gamma == values["calibrated/factor"] != 0
    for k in (1, 2, 3, 5):
        asked = {
            f"calibrated_{side}": tag_images(chosen, vectors, k),
            f"all_{side}": tag_images(chosen, vectors, k, plain=True),
        }
        if side == "seen" or k < 3:  # all are right among three labels
            asked[side] = tag_images(chosen, vectors, k, among=side)
        for protocol, tags in asked.items():
            assert hits(tags, labels, k) == values[f"{protocol}/hit@{k}"], (protocol, k)
    assert values[f"calibrated_{side}/hit@1"] != values[f"all_{side}/hit@1"]


def test_tags_of_image_files_have_the_hits_of_an_evaluation(photographed: Run) -> None:
    values = devise_exp.evaluate(photographed, "index=exact")
    rows = [row for row in photographed.gallery("all").rows if row.part != "val"]
    vectors = embed_files(photographed, [Path(row.path or "") for row in rows])
    tags = tag_images(photographed, vectors)
    for part, side in (("test", "seen"), ("unseen", "unseen")):
        of_part = [(t, r.label) for t, r in zip(tags, rows, strict=True) if r.part == part]
        for k in (1, 5):
            share = hits([t for t, _ in of_part], [label for _, label in of_part], k)
            assert share == values[f"calibrated_{side}/hit@{k}"]


def test_similarities_are_what_ranks_the_labels(chosen: Run) -> None:
    """Held to the whole matrix of cosines, seen columns lowered."""
    gallery, names = chosen.gallery("all"), list(chosen.classes)
    seen, unseen = chosen.folder.class_ids()
    embedded = chosen.folder.embedded("devise")
    images = np.concatenate([embedded.seen.vectors, embedded.unseen.vectors]).astype(np.float64)
    scores = images @ chosen.labels.astype(np.float64).T
    scores[:, seen] -= chosen.gamma or 0
    vectors = gallery.index.vectors[-len(images) :]
    for tags, row in zip(tag_images(chosen, vectors, len(names)), scores, strict=True):
        assert [name for name, _ in tags] == [names[i] for i in np.argsort(-row)]
        np.testing.assert_allclose([s for _, s in tags], np.sort(row)[::-1], atol=1e-6)
    kinds = {names[i] for i in unseen}
    assert {n for t in tag_images(chosen, vectors, 3, among="unseen") for n, _ in t} == kinds


def test_files_that_the_run_has_embedded_need_no_network_unless_they_have_changed(
    photographed: Run, tmp_path: Path
) -> None:
    run = shutil.copytree(photographed.folder.path, tmp_path / "run")
    images = shutil.copytree(run.parent / "run", tmp_path / "unused") and tmp_path / "images"
    gallery = photographed.gallery("all")
    for row in gallery.rows[:3]:
        (images / row.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(row.path or "", images / row.name)
    # The folder of a run says where its images are; these have moved with it.
    text = (run / "gallery/rows.json").read_text(encoding="utf-8")
    root = str(Path(gallery.rows[0].path or "").parent.parent)
    (run / "gallery/rows.json").write_text(text.replace(root, str(images)), encoding="utf-8")
    files = [images / row.name for row in gallery.rows[:3]]
    shutil.rmtree(run / "checkpoints")
    moved = Run.open(run)
    np.testing.assert_array_equal(embed_files(moved, files), gallery.index.vectors[:3])
    later = (run / "gallery/rows.json").stat().st_mtime + 10
    draw(files[1], COLOURS["ship"], seed=5)
    os.utime(files[1], (later, later))
    with pytest.raises(InputError, match="checkpoints"):
        embed_files(moved, files)
    shutil.copytree(photographed.folder.checkpoints, run / "checkpoints")
    vectors = embed_files(Run.open(run), files)
    np.testing.assert_array_equal(vectors[[0, 2]], gallery.index.vectors[[0, 2]])
    assert not np.allclose(vectors[1], gallery.index.vectors[1], atol=1e-3)


def test_words_of_the_vocabulary_are_not_lowered(chosen: Run, photographed: Run) -> None:
    """Not those of seen labels either: their near neighbours would take their place."""
    vectors = photographed.gallery("test").index.vectors[:5]
    calibrated = tag_images(photographed, vectors, 20, vocabulary=True, most_frequent=3000)
    raw = tag_images(photographed, vectors, 20, True, 3000, plain=True)
    assert calibrated == raw


@pytest.mark.parametrize(
    ("gamma", "options", "line"),
    [
        (0.2149, {}, "calibrated: similarity of the 6 seen labels lowered by gamma 0.21, chosen"),
        (-0.05, {}, "calibrated: similarity of the 6 seen labels raised by gamma 0.05, chosen"),
        (0.2, {"among": "seen"}, ""),
        (0.2, {"among": "unseen"}, ""),
        (0.2, {"plain": True}, ""),
        (0.2, {"vocabulary": True}, "not calibrated: gamma was chosen for the run's labels"),
        (None, {}, "not calibrated: the run chose no gamma on class folds, and"),
        (None, {"vocabulary": True}, ""),
        (None, {"plain": True}, ""),
    ],
)
def test_the_line_says_what_was_lowered_where_it_makes_a_difference(
    searchable: Path, tmp_path: Path, gamma: float | None, options: dict[str, bool], line: str
) -> None:
    saved = with_gamma(shutil.copytree(searchable, tmp_path / "run"), gamma)
    actual = calibration_line(saved, **options)  # type: ignore[arg-type]
    assert actual.startswith(line)
    assert bool(actual) == bool(line)
    assert len(actual) < 100


def test_a_run_without_a_gamma_has_plain_tags(searchable: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    saved = Run.open(folder)
    vectors = saved.gallery("unseen").index.vectors
    assert saved.gamma is None
    assert tag_images(saved, vectors) == tag_images(saved, vectors, plain=True)
    shutil.rmtree(folder / "embeddings")  # which only an evaluation needs
    assert tag_images(Run.open(folder), vectors) == tag_images(saved, vectors)


@pytest.mark.parametrize("gamma", [float("nan"), float("-inf"), 1e300, -3.0, "0.2", [0.1, 0.2]])
def test_a_gamma_that_is_none_is_one_line(searchable: Path, tmp_path: Path, gamma: object) -> None:
    saved = with_gamma(shutil.copytree(searchable, tmp_path / "run"), gamma)
    vectors = saved.gallery("unseen").index.vectors[:1]
    for ask in (
        lambda: tag_images(saved, vectors),
        lambda: calibration_line(saved),
        lambda: RunFolder(saved.folder.path).embedded("devise"),
    ):
        with pytest.raises(InputError, match=r"devise\.npz: damaged: train the run again$"):
            ask()
    assert tag_images(saved, vectors, plain=True)


def test_what_cannot_be_tagged_is_one_line(photographed: Run) -> None:
    vectors = photographed.gallery("unseen").index.vectors[:1]
    for options, wrong in (
        ({"among": "test"}, "labels among test: choose among all, seen, unseen"),
        ({"among": "seen", "k": 7}, "k is 7, but there are 6 seen labels"),
        ({"among": "unseen", "k": 3}, "k is 3, but there are 2 unseen labels"),
        ({"among": "seen", "vocabulary": True}, "neither seen nor unseen: leave out one"),
    ):
        with pytest.raises(InputError, match=wrong):
            tag_images(photographed, vectors, **options)  # type: ignore[arg-type]
