"""A run with predicted classifiers: what it keeps, and that everything reads it alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from helpers.class_folds import QUICK
from omegaconf import DictConfig
from PIL import Image

from devise_exp.core.array_files import load_arrays
from devise_exp.core.errors import InputError
from devise_exp.core.vectors import centre_of, centre_rows
from devise_exp.methods.word_classifiers import ClassifierShare
from devise_exp.pipelines import reevaluation, run
from devise_exp.pipelines.export.hub_folder import export_hub
from devise_exp.pipelines.export.model import WholeModel
from devise_exp.pipelines.export.onnx_folder import export_onnx
from devise_exp.pipelines.prepare import features_of, prepare
from devise_exp.runs.folder import RunFolder
from devise_exp.search.answers import find_images
from devise_exp.search.encoder import load_model
from devise_exp.search.saved_run import Run
from devise_exp.search.tags import embed_files, tag_images
from devise_exp.ui.python.hub import open_hub_folder

ROWS = ("devise_map", "devise_prior", "devise_classifiers")


@pytest.fixture(scope="module")
def config(composed: Callable[..., DictConfig], tree: Path) -> DictConfig:
    options = [o for o in QUICK if not o.startswith("method=")]
    method = f"method=[{','.join(ROWS)}]"
    return composed(*options, "classifiers.shares=[0.3]", method, f"data.root={tree}")


@pytest.fixture(scope="module")
def ran(
    config: DictConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, dict[str, float]]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return RunFolder(folder), run.train(config, folder, quietly=True)


@pytest.fixture(scope="module")
def trained(ran: tuple[RunFolder, dict[str, float]]) -> RunFolder:
    return ran[0]


@pytest.fixture(scope="module")
def share(trained: RunFolder) -> ClassifierShare:
    result = trained.word_classifiers()
    assert result is not None
    return result


def test_the_run_keeps_what_it_has_chosen(trained: RunFolder, share: ClassifierShare) -> None:
    chosen = trained.hyperparameters("devise")
    assert chosen["classifiers/share"] == share.share == 0.3
    assert chosen["classifiers/tau"] == share.classifiers.tau
    prior = trained.prior()
    assert prior is not None
    assert chosen["prior/weight"] == prior.strength


def test_the_run_says_which_methods_had_the_classifier_of_the_pretraining(
    trained: RunFolder,
) -> None:
    assert trained.about()["pretraining/methods"] == "devise, devise_prior, devise_classifiers"


def test_labels_and_images_are_word_and_map_beside_classifier_and_features(
    trained: RunFolder, share: ClassifierShare
) -> None:
    words, model = trained.class_vectors(), trained.embedded("devise")
    width = words.shape[1]
    np.testing.assert_allclose(model.class_vectors[:, :width], words * 0.7**0.5, atol=1e-6)
    rest = share.classifiers.of_words(words) * 0.3**0.5
    np.testing.assert_allclose(model.class_vectors[:, width:], rest, atol=1e-6)
    np.testing.assert_array_equal(Run(trained).labels, model.class_vectors)
    for part in (model.seen, model.unseen):
        lengths = np.linalg.norm(part.vectors[:, :width], axis=1)
        np.testing.assert_allclose(lengths, 0.7**0.5, atol=1e-4)


def test_new_images_are_embedded_as_in_training(trained: RunFolder, tree: Path) -> None:
    opened, split = Run(trained), trained.split()
    images = [Image.open(tree / row).convert("RGB") for row in split.unseen]
    model = trained.embedded("devise")
    centre = centre_of(model.class_vectors, trained.class_ids()[0])
    np.testing.assert_allclose(
        opened.embed(images)["devise"], centre_rows(model.unseen.vectors, centre), atol=1e-4
    )


def test_tags_are_the_answers_of_the_tables(trained: RunFolder, tree: Path) -> None:
    opened, split, model = Run(trained), trained.split(), trained.embedded("devise")
    files = [tree / row for row in split.unseen]
    vectors, names = embed_files(opened, files), list(opened.classes)
    seen, unseen = trained.class_ids()
    cosine = model.unseen.vectors @ model.class_vectors.T
    assert model.gamma is not None
    for among, lowered in (("unseen", 0.0), ("all", model.gamma)):
        ids = unseen if among == "unseen" else np.arange(len(names))
        scores = cosine[:, ids] - lowered * np.isin(ids, seen)
        tags = tag_images(opened, vectors, k=2, among=among)
        for row, answer in zip(scores, tags, strict=True):
            best = ids[np.argsort(-row)[:2]]
            assert [name for name, _ in answer] == [names[c] for c in best]
            assert [s for _, s in answer] == pytest.approx(np.sort(row)[::-1][:2], abs=1e-4)


def test_tags_of_the_vocabulary_are_words_near_the_map_alone(
    trained: RunFolder, tree: Path
) -> None:
    opened, model = Run(trained), trained.embedded("devise")
    files = [tree / row for row in trained.split().unseen]
    table = opened.vocabulary.vectors[:500]
    (answer, *_) = tag_images(
        opened, embed_files(opened, files), k=3, vocabulary=True, most_frequent=500
    )
    rows = model.unseen.vectors[:, : table.shape[1]]
    cosine = rows[0] @ table.T / np.linalg.norm(rows[0])
    assert [word for word, _ in answer] == [
        opened.vocabulary.words[i] for i in np.argsort(-cosine)[:3]
    ]


def test_a_word_is_searched_by_both(trained: RunFolder, share: ClassifierShare) -> None:
    opened, model = Run(trained), trained.embedded("devise")
    answer = find_images(opened, "zebra", gallery="unseen", k=4, all_copies=True)
    zebra = opened.vocabulary.vector("zebra")
    assert zebra is not None
    centre = centre_of(model.class_vectors, trained.class_ids()[0])
    query = centre_rows(share.words(zebra[None] / np.linalg.norm(zebra)), centre)[0]
    cosine = centre_rows(model.unseen.vectors, centre) @ query
    best = np.argsort(-cosine)[:4]
    assert [hit.row.name for hit in answer.hits] == [trained.split().unseen[i] for i in best]
    assert [hit.similarity for hit in answer.hits] == pytest.approx(cosine[best], abs=1e-4)


def test_the_exported_module_embeds_as_the_run_does(trained: RunFolder, tree: Path) -> None:
    saved = load_model(trained, trained.class_vectors().shape[1])
    images = [Image.open(tree / row).convert("RGB") for row in trained.split().unseen[:3]]
    pixels = torch.stack([saved.backbone.preprocess(image) for image in images])
    with torch.inference_mode():
        rows = WholeModel.of(saved)(pixels).numpy()
    expected = trained.embedded("devise").unseen.vectors[:3]
    np.testing.assert_allclose(rows, expected, atol=1e-4)


def test_an_exported_folder_has_all_that_images_and_words_need(
    trained: RunFolder, share: ClassifierShare, tree: Path, tmp_path: Path
) -> None:
    opened = Run(trained)
    export_hub(opened, tmp_path / "hub")
    exported = open_hub_folder(tmp_path / "hub")
    files = [tree / row for row in trained.split().unseen]
    expected = [
        label for tags in tag_images(opened, embed_files(opened, files), k=2) for label in tags
    ]
    labels = exported.tag(files, k=2)
    assert [label.label for label in labels] == [name for name, _ in expected]
    similarities = [similarity for _, similarity in expected]
    assert [label.similarity for label in labels] == pytest.approx(similarities, abs=1e-4)
    words = opened.vocabulary.vectors[:5]
    np.testing.assert_array_equal(exported.model.words(words), share.words(words))
    np.testing.assert_array_equal(exported.model.class_vectors, opened.labels)


def test_an_onnx_export_has_labels_and_words_in_the_space_of_its_embeddings(
    trained: RunFolder, share: ClassifierShare, tmp_path: Path
) -> None:
    opened = Run(trained)
    content = export_onnx(opened, tmp_path / "onnx", 5)
    assert content["check"]["same_top_5"] == content["check"]["images"]
    words = np.load(tmp_path / "onnx/word_vectors.npy")
    np.testing.assert_array_equal(words, share.words(opened.vocabulary.vectors[:5]))
    np.testing.assert_array_equal(np.load(tmp_path / "onnx/class_vectors.npy"), opened.labels)


@pytest.mark.parametrize("options", [(), ("checkpoint=checkpoints/best.ckpt", "index=exact")])
def test_evaluating_again_gives_the_same_figures(
    ran: tuple[RunFolder, dict[str, float]],
    composed: Callable[..., DictConfig],
    options: tuple[str, ...],
) -> None:
    trained, values = ran
    again = reevaluation.evaluate(composed(f"run_dir={trained.path}", *options, name="evaluate"))
    assert again == {name: v for name, v in values.items() if name not in ("val/hit@1", "epoch")}
    assert again["calibrated/factor"] == trained.embedded("devise").gamma


def test_further_labels_are_put_beside_the_classes(
    trained: RunFolder, composed: Callable[..., DictConfig]
) -> None:
    extra = "extra_labels=[zebra,canoe]"
    again = reevaluation.evaluate(composed(f"run_dir={trained.path}", extra, name="evaluate"))
    assert again["extra_unseen/hit@1"] <= again["all_unseen/hit@1"]


def test_closed_images_have_no_say_in_what_is_added(
    trained: RunFolder, config: DictConfig, tmp_path: Path
) -> None:
    alone = config.copy()
    alone.method = {}
    data = prepare(alone)
    features = np.array(features_of(alone, data))
    closed = np.concatenate([data.split.test, data.split.unseen_rows])
    features[closed] = np.random.default_rng(0).normal(size=(len(closed), features.shape[1]))
    run.train(alone, tmp_path / "run", quietly=True, ready=(data, features))
    other = RunFolder(tmp_path / "run")
    assert other.hyperparameters("devise") == trained.hyperparameters("devise")
    assert other.embedded("devise").gamma == trained.embedded("devise").gamma
    stored = load_arrays(other.path / "word_classifiers.npz")
    for name, array in load_arrays(trained.path / "word_classifiers.npz").items():
        np.testing.assert_array_equal(array, stored[name])


def test_rows_show_what_each_addition_gives(trained: RunFolder) -> None:
    chosen = {name: trained.hyperparameters(name) for name in ROWS}
    assert "classifiers/share" not in chosen["devise_prior"]
    assert chosen["devise_prior"]["prior/weight"] > 0
    assert chosen["devise_classifiers"]["prior/weight"] == 0
    assert chosen["devise_classifiers"]["classifiers/share"] == 0.3
    assert chosen["devise_map"]["prior/weight"] == 0
    width = trained.class_vectors().shape[1]
    vectors = {name: trained.embedded(name).class_vectors for name in ROWS}
    assert [vectors[name].shape[1] == width for name in ROWS] == [True, True, False]
    model = trained.embedded("devise").unseen.vectors[:, :width] / 0.7**0.5
    with_prior = trained.embedded("devise_prior").unseen.vectors
    if chosen["devise_prior"]["prior/weight"] == trained.hyperparameters("devise")["prior/weight"]:
        np.testing.assert_allclose(model, with_prior, atol=1e-4)
    plain = trained.embedded("devise_map").unseen.vectors
    assert np.abs(plain - with_prior).max() > 0.01


def test_a_further_seed_takes_all_that_was_chosen(
    trained: RunFolder, config: DictConfig, tmp_path: Path
) -> None:
    again = config.copy()
    again.hyperparameters_from = str(trained.path)
    run.train(again, tmp_path / "run", quietly=True)
    other = RunFolder(tmp_path / "run")
    for name in ("devise", *ROWS):
        assert other.hyperparameters(name) == trained.hyperparameters(name)
        first, second = trained.embedded(name), other.embedded(name)
        np.testing.assert_allclose(first.unseen.vectors, second.unseen.vectors, atol=1e-5)
        assert first.gamma == second.gamma


@pytest.mark.parametrize("change", ["share", "rows", "text"])
def test_a_damaged_file_is_one_line(
    trained: RunFolder, share: ClassifierShare, tmp_path: Path, change: str
) -> None:
    copy = RunFolder(Path(copytree(trained.path, tmp_path / "run")))
    file = copy.path / "word_classifiers.npz"
    if change == "text":
        file.write_text("not an archive")
    else:
        arrays = dict(load_arrays(file))
        arrays |= (
            {"numbers": np.array([1.5, 0.1])}
            if change == "share"
            else {"vectors": share.classifiers.vectors[:-1]}
        )
        copy.save_arrays("word_classifiers", arrays)
    with pytest.raises(InputError, match=r"word_classifiers\.npz") as error:
        _ = Run(copy).labels
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["prior", ["gamma"], 3])
def test_an_addition_that_nobody_knows_is_one_line(
    config: DictConfig, tmp_path: Path, value: object
) -> None:
    changed = config.copy()
    changed.method = {"mine": {"additions": value}}
    with pytest.raises(InputError, match=r"method\.mine\.additions="):
        run.train(changed, tmp_path / "run", quietly=True)
    assert not (tmp_path / "run").exists()


def test_a_share_of_one_leaves_nothing_of_the_map(share: ClassifierShare) -> None:
    whole = replace(share, share=1.0)
    words = np.eye(share.classifiers.vectors.shape[1], dtype=np.float32)[:2]
    assert not whole.words(words)[:, : words.shape[1]].any()
