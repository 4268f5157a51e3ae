"""Runs on a tiny CLIP: its row beside the trained model, against a hand-made cosine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from helpers.configs import TINY
from helpers.images import COLOURS, draw
from helpers.open_clip_folders import write_folder
from omegaconf import DictConfig, open_dict
from PIL import Image

import devise_exp
from devise_exp.core.errors import InputError
from devise_exp.core.vectors import centre_rows
from devise_exp.data.images import ImageFiles
from devise_exp.evaluation.records import MetricName
from devise_exp.features.backbones.base import CAPTIONS
from devise_exp.pipelines import run
from devise_exp.pipelines.export.hub_folder import export_hub
from devise_exp.pipelines.prepare import prepare
from devise_exp.pipelines.reevaluation import evaluate
from devise_exp.reports.comparison import compare
from devise_exp.reports.comparison_formats import FORMATS
from devise_exp.reports.html.audit_answer import checked
from devise_exp.reports.html.shown_run import ShownRun
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import runs_in
from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import embed_files, tag_images

Folders = dict[str, Path]
NAMES = (*COLOURS, "okapi", "fire engine", "sea_horse", "teapot")
SHOWN = [MetricName(p, "hit", 1, "class")
         for p in ("seen", "unseen", "all_unseen", "calibrated_unseen")]  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"local-dir:{write_folder(tmp_path_factory.mktemp('weights') / 'tiny')}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve classes, of which nine are seen: enough for class folds, and so for a gamma."""
    root = tmp_path_factory.mktemp("tree")
    for c, name in enumerate(NAMES):
        for i in range(8):
            draw(root / name / f"{i}.png", (20 * c, 250 - 20 * c, 40 * (c % 6)), seed=100 * c + i)
    return root


@pytest.fixture(scope="module")
def config(composed: Callable[..., DictConfig], tree: Path, clip: str) -> Callable[..., Any]:
    def make(*overrides: str) -> DictConfig:
        return composed(
            "data=image_folder", f"data.root={tree}", "backbone=open_clip",
            f"backbone.pretrained={clip}", "method=[clip_zero_shot,eszsl]", "projection=linear",
            "trainer.max_epochs=1", "features.num_workers=0", "features.dtype=float32",
            "index=exact", "logger=none", "report=none", "split.n_unseen=3", "class_folds=2",
            *TINY, *overrides,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def runs(config: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """One on the vectors of its own text tower, one on random vectors by another seed."""
    folder = tmp_path_factory.mktemp("runs")
    run.train(config("word_vectors=open_clip_text"), folder / "own-words", quietly=True)
    run.train(config("word_vectors=random", "seed=5"), folder / "random", quietly=True)
    return {path.name: path for path in folder.iterdir()}


def slow_hits(folder: Path, root: Path, location: str) -> dict[str, float]:
    """hit@1 by class of CLIP alone, by open_clip's own functions and one image at a time."""
    model, prepare_image = open_clip.create_model_from_pretrained(location)
    saved = RunFolder(folder)
    names = [record.name for record in saved.classes()]
    seen, unseen = saved.class_ids()
    texts = open_clip.build_zero_shot_classifier(
        model.eval(), open_clip.get_tokenizer(location),
        [name.replace("_", " ") for name in names], open_clip.OPENAI_IMAGENET_TEMPLATES
    ).T.double().numpy()  # fmt: skip
    split = saved.split()
    parts = {"seen": (split.test, seen), "unseen": (split.unseen, unseen)}
    parts["all_unseen"] = (split.unseen, np.arange(len(names)))
    result = {}
    for part, (rows, labels) in parts.items():
        right: dict[str, list[bool]] = {}
        for row in rows:
            with torch.inference_mode():
                image = prepare_image(Image.open(root / row).convert("RGB"))[None]
                feature = model.encode_image(image)[0].double().numpy()
            cosines = [float(feature @ texts[c]) for c in labels]
            name = row.split("/")[0]
            right.setdefault(name, []).append(names[labels[int(np.argmax(cosines))]] == name)
        result[part] = float(np.mean([np.mean(hits) for hits in right.values()]))
    return result


def test_the_row_equals_a_cosine_by_hand(runs: Folders, tree: Path, clip: str) -> None:
    (results,) = runs_in([runs["own-words"]])
    for part, value in slow_hits(runs["own-words"], tree, clip).items():
        record = results.record("clip_zero_shot", MetricName(part, "hit", 1, "class"))
        assert record is not None
        assert record.value == pytest.approx(value, abs=1e-9)
        assert record.low is not None
    assert {"devise", "clip_zero_shot", "eszsl"} <= set(results.methods)


def test_it_repeats_whatever_the_seed_and_the_word_vectors(runs: Folders) -> None:
    first, second = (runs_in([runs[name]])[0] for name in ("own-words", "random"))
    for name in SHOWN:
        value = first.value("clip_zero_shot", name)
        assert value is not None
        assert value == second.value("clip_zero_shot", name)
    assert first.record("clip_zero_shot", MetricName("calibrated", "H", 1)) is not None


def test_evaluation_again_gives_the_same_figures(
    runs: Folders, composed: Callable[..., DictConfig]
) -> None:
    again = evaluate(composed(f"run_dir={runs['own-words']}", name="evaluate"))
    (results,) = runs_in([runs["own-words"]])
    values = {k: v for k, v in again.items() if k.startswith("method/clip_zero_shot/")}
    assert values
    assert values == {key: results.metrics[key] for key in values}


def test_the_overlap_is_marked_as_unknown_everywhere(runs: Folders) -> None:
    folder = RunFolder(runs["own-words"])
    assert folder.details().about["leak/checked_by"] == f"nothing ({CAPTIONS})"
    verdicts = {record.verdict for record in folder.classes()}
    assert verdicts == {f"not checked: {CAPTIONS}"}
    assert set(folder.details().verdicts(["x"]).values()) == verdicts
    assert any(CAPTIONS in sentence for sentence in checked(ShownRun(folder.path)))
    assert CAPTIONS in (folder.path / "report.md").read_text()


def test_compare_shows_it_beside_others_with_its_mark(runs: Folders) -> None:
    comparison = compare(runs_in(list(runs.values())), methods=True)
    assert [line.names[-1] for line in comparison.lines].count("clip_zero_shot") == 2
    assert comparison.remarks == (f"open_clip/tiny: {CAPTIONS}",)
    assert f"open_clip/tiny: {CAPTIONS}." in FORMATS["markdown"](comparison)


def test_the_run_is_searched_by_sentences_and_tags_files(runs: Folders, tree: Path) -> None:
    opened = Run.open(runs["own-words"])
    answer = find_images(opened, "a photo of a cat on a boat", k=3)
    assert len(answer.hits) == 3
    new = tree / "cat" / "0.png"
    (tags,) = tag_images(opened, embed_files(opened, [new]), k=2)
    assert len(tags) == 2


def test_any_sentence_is_encoded_by_the_text_tower(runs: Folders, clip: str) -> None:
    opened, text = Run.open(runs["own-words"]), "red cars beside two boats, at night"
    model, tokenizer = open_clip.create_model(clip).eval(), open_clip.get_tokenizer(clip)
    classifier = open_clip.build_zero_shot_classifier(
        model, tokenizer, [text], open_clip.OPENAI_IMAGENET_TEMPLATES
    ).T.numpy()
    gallery = opened.gallery("all")
    query = opened.words_in("devise", classifier)
    cosines = gallery.index.vectors @ centre_rows(query, opened.centre)[0]
    answer = find_images(opened, text, k=5, all_copies=True)
    assert answer.reading == text
    np.testing.assert_allclose(
        [hit.similarity for hit in answer.hits], np.sort(cosines)[::-1][:5], atol=1e-4
    )


def test_a_hub_folder_of_it_names_images_as_the_run(
    runs: Folders, tree: Path, tmp_path: Path
) -> None:
    opened = Run.open(runs["own-words"])
    export_hub(opened, tmp_path / "hub")
    files = [tree / name / "3.png" for name in NAMES]
    tags = devise_exp.open_hub_folder(tmp_path / "hub").tag(files, k=3)
    vectors = opened.embed(ImageFiles(map(str, files)))["devise"]
    expected = tag_images(opened, vectors, 3)
    assert [r.label for r in tags] == [name for of_image in expected for name, _ in of_image]


def test_a_backbone_without_a_text_tower_leaves_the_method_out(
    config: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from devise_exp.pipelines.fit import methods_of

    data = prepare(config("word_vectors=open_clip_text", "backbone.trainable=true"))
    assert data.texts is None
    made_config = config("word_vectors=random")
    methods = methods_of(made_config, data, project=lambda task: torch.nn.Identity())
    assert [method.name for method in methods] == ["eszsl"]
    assert (
        "no clip_zero_shot of this backbone: its network is trained on" in capsys.readouterr().err
    )


def test_word_vectors_of_another_backbone_ask_for_a_model(
    composed: Callable[..., DictConfig], image_tree: Path, clip: str
) -> None:
    root = ("data=image_folder", f"data.root={image_tree}", "word_vectors=open_clip_text")
    with pytest.raises(InputError, match="of which model"):
        prepare(composed(*root))
    config = composed(*root, f"word_vectors.pretrained={clip}")
    with open_dict(config):
        config.word_vectors.templates = 1
    assert prepare(config).texts is None
