"""The files of a run folder are written and read back; damage is one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.outputs import method_output

from devise_exp.core.errors import InputError
from devise_exp.data.labelled_rows import LabelledRows
from devise_exp.data.splits import Split, named_split
from devise_exp.evaluation.protocols import EmbeddedImages, MethodOutput
from devise_exp.evaluation.verdicts import Overlap
from devise_exp.methods.pretraining_words import PretrainingWords
from devise_exp.runs.arrays import from_pretraining_words, to_pretraining_words
from devise_exp.runs.class_records import ClassRecord
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.records import RunDetails
from devise_exp.text.labels import Resolution

NAMES = ["cat", "dog", "ship", "éclair"]
ROWS = [f"{name}/{i}.png" for name in NAMES for i in range(5)]
LABELS = np.arange(4).repeat(5)
VECTORS = np.eye(4, 7, dtype=np.float32)


def split() -> Split:
    return named_split(LabelledRows(classes=NAMES, labels=LABELS, rows=ROWS), ["dog"])


def resolutions() -> list[Resolution]:
    return [Resolution(name, (name, "x"), "averaged") for name in NAMES]


def embedded(name: str = "devise") -> MethodOutput:
    rng = np.random.default_rng(0)
    seen, unseen = (rng.normal(size=(n, 7)).astype(np.float32) for n in (3, 5))
    return method_output(name, VECTORS, seen, np.array([0, 2, 3]), unseen, np.full(5, 1))


def test_classes_and_split_come_back(tmp_path: Path) -> None:
    folder, created = RunFolder(tmp_path), split()
    folder.save_classes(created, resolutions(), VECTORS, ROWS)
    assert folder.classes() == tuple(
        ClassRecord(name=n, seen=n != "dog", words=(n, "x"), rule="averaged") for n in NAMES
    )
    assert json.loads((tmp_path / "classes.json").read_text(encoding="utf-8")) == [
        {"name": n, "seen": n != "dog", "words": [n, "x"], "how": "averaged"} for n in NAMES
    ]
    assert "éclair" in (tmp_path / "classes.json").read_text(encoding="utf-8")
    np.testing.assert_array_equal(folder.class_vectors(), VECTORS)
    assert [ids.tolist() for ids in folder.class_ids()] == [[0, 2, 3], [1]]
    saved = folder.split()
    assert (saved.name, saved.seed) == ("named", 0)
    assert saved.fingerprint == created.fingerprint
    for part, rows in (("train", created.train), ("val", created.val), ("test", created.test),
                       ("unseen", created.unseen_rows)):  # fmt: skip
        assert list(getattr(saved, part)) == [ROWS[i] for i in rows]
    assert list(saved.unseen) == [f"dog/{i}.png" for i in range(5)]


def test_what_the_figures_rest_on_comes_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    leak = Overlap(name="dog", relation="canine, dog", category="word", sense="dog")
    about = {
        "data": "x",
        "backbone": "b",
        "word_vectors": "w",
        "split/name": "s",
        "labels/missing": 2,
    }
    details = RunDetails(about=about, overlaps=(leak,), skipped=("a.png: broken",))
    folder.save_details(details)
    assert folder.details() == details
    assert folder.about() == about
    content = json.loads((tmp_path / "about.json").read_text())
    assert content["skipped"] == ["a.png: broken"]
    assert "dog" in content["leaks"][0].values()


def test_embeddings_come_back_in_the_order_of_the_methods(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_details(RunDetails(about={}))
    assert folder.method_names() == ["devise"]
    methods: dict[str, dict[str, object]] = {
        "devise": {"prior/weight": 0.5}, "softmax": {}, "random_vectors": {}
    }  # fmt: skip
    for name in reversed(methods):
        folder.save_embedded(embedded(name))
    folder.save_details(RunDetails(about={}, methods=methods))
    assert folder.method_names() == ["devise", "softmax", "random_vectors"]
    assert folder.hyperparameters("devise") == {"prior/weight": 0.5}
    back, sent = folder.embedded("devise"), embedded()
    assert back.name == "devise"
    np.testing.assert_array_equal(back.class_vectors, sent.class_vectors)
    assert (list(back.parts), back.gamma, back.is_projection) == (["seen", "unseen"], None, False)
    _check_parts(back, sent)


def test_training_images_and_the_gamma_come_back_where_there_are_some(tmp_path: Path) -> None:
    sent = embedded()
    train = EmbeddedImages(sent.seen.vectors[::-1], np.array([3, 2, 0]))
    sent = replace(sent, parts=sent.parts | {"train": train}, gamma=0.25, is_projection=True)
    RunFolder(tmp_path).save_embedded(sent)
    back = RunFolder(tmp_path).embedded("devise")
    assert (list(back.parts), back.gamma, back.is_projection) == (list(sent.parts), 0.25, True)
    _check_parts(back, sent)


def _check_parts(back: MethodOutput, sent: MethodOutput) -> None:
    for part, images in sent.parts.items():
        np.testing.assert_array_equal(back.parts[part].vectors, images.vectors)
        np.testing.assert_array_equal(back.parts[part].class_ids, images.class_ids)


def test_contents_of_training_images_come_back_if_they_are_known(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.training_contents() is None
    folder.save_training_contents(["b2", "a1", "b2"])
    assert folder.training_contents() == {"a1", "b2"}
    for damaged in ("[1]", "{", '"a1"'):
        (tmp_path / "training_contents.json").write_text(damaged)
        with pytest.raises(InputError, match=r"training_contents\.json: damaged"):
            folder.training_contents()


@pytest.mark.parametrize("name", ["classes.json", "class_vectors.npy", "embeddings/devise.npz",
                                  "about.json", "split.json"])  # fmt: skip
def test_a_file_that_is_gone_or_damaged_is_named(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path)
    (tmp_path / "config.yaml").touch()
    folder.save_classes(split(), resolutions(), VECTORS, ROWS)
    folder.save_details(RunDetails(about={}))
    folder.save_embedded(embedded())
    readers: dict[str, Callable[[], object]] = {
        "classes.json": folder.classes,
        "class_vectors.npy": folder.class_vectors,
        "embeddings/devise.npz": lambda: folder.embedded("devise"),
        "about.json": folder.about,
        "split.json": folder.split,
    }
    content = (tmp_path / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"junk"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match=f"{name}.*train the run again"):
            readers[name]()
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"lacks {name}: train the run again"):
        readers[name]()


def test_a_space_of_words_without_a_class_is_damage() -> None:
    words = PretrainingWords(ids=np.arange(2), categories=("cat", "dog"), vectors=VECTORS[:2])
    np.testing.assert_array_equal(
        to_pretraining_words(from_pretraining_words(words)).ids, words.ids
    )
    none = replace(words, ids=words.ids[:0], categories=(), vectors=VECTORS[:0])
    with pytest.raises(ValueError, match="no positions"):
        to_pretraining_words(from_pretraining_words(none))
