"""Class texts and vectors of a user's own, from training to evaluation and search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.configs import ALONE, SMALL_NETWORK, TINY
from helpers.images import COLOURS
from helpers.sentence_folders import CONTEXT, write_encoder
from omegaconf import DictConfig

from devise_exp.core.errors import InputError
from devise_exp.core.vectors import normalize_rows
from devise_exp.pipelines import run
from devise_exp.pipelines.reevaluation import evaluate
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.results import runs_in
from devise_exp.search.answers import find_images
from devise_exp.search.saved_run import Run

NAMES = sorted(COLOURS)
LONG = "It is drawn with very many dots, " * 3
SENTENCES = {name: [f"A {name}.", f"It looks like a {name}."] for name in NAMES}
# Whole words of letters do not fit beside so long a sentence.
SENTENCES[NAMES[0]].append(LONG + "dots, dots, dots, dots.")
SENTENCES[NAMES[1]].append(LONG)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def words_of(kind: str, encoder: Path, folder: Path) -> list[str]:
    """The options of word vectors of a kind, with their file."""
    of_encoder = [
        "word_vectors=sentence_encoder", f"word_vectors.model={encoder}",
        "word_vectors.glosses=false",
    ]  # fmt: skip
    if kind == "sentence_encoder":
        return of_encoder
    if kind == "descriptions":
        (folder / "texts.json").write_text(json.dumps(SENTENCES))
        return [*of_encoder, f"word_vectors.descriptions={folder / 'texts.json'}"]
    rows = np.random.default_rng(0).normal(size=(len(NAMES), 6))
    lines = [",".join([name, *map(str, row)]) for name, row in zip(NAMES, rows, strict=True)]
    (folder / "attributes.csv").write_text("\n".join(["class,a,b,c,d,e,f", *lines]))
    return ["word_vectors=class_table", f"word_vectors.path={folder / 'attributes.csv'}"]


def expected_vectors(kind: str, encoder: Path, folder: Path) -> np.ndarray:
    """The vectors of NAMES, from the files themselves."""
    if kind == "class_table":
        lines = (folder / "attributes.csv").read_text().splitlines()[1:]
        return normalize_rows(np.array([line.split(",")[1:] for line in lines], dtype=float))
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder), device="cpu", local_files_only=True)
    texts = [[f"a photo of a {n}"] if kind == "sentence_encoder" else SENTENCES[n] for n in NAMES]
    rows = [normalize_rows(model.encode(of_class)).mean(axis=0) for of_class in texts]
    return normalize_rows(np.stack(rows))


@pytest.mark.parametrize("kind", ["descriptions", "class_table", "sentence_encoder"])
def test_a_run_on_class_texts_is_trained_evaluated_and_searched(
    kind: str,
    encoder: Path,
    composed: Callable[..., DictConfig],
    image_tree: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = composed(
        "data=image_folder", f"data.root={image_tree}", *words_of(kind, encoder, tmp_path),
        *SMALL_NETWORK, "projection=linear", "trainer.max_epochs=1", "features.num_workers=0",
        "index=exact", "logger=none", *ALONE, *TINY,
    )  # fmt: skip
    folder = tmp_path / "run"
    run.train(config, folder, quietly=True)
    said = capsys.readouterr().err
    cut = f"2 of 8 classes have texts of more than the {CONTEXT} tokens that sentence_encoder tiny"
    assert said.count(cut) == (kind == "descriptions")
    assert said.count(f"(the longest: {NAMES[0]})") == (kind == "descriptions")
    saved = RunFolder(folder)
    ids = [[record.name for record in saved.classes()].index(name) for name in NAMES]
    np.testing.assert_allclose(
        saved.class_vectors()[ids], expected_vectors(kind, encoder, tmp_path), atol=1e-5
    )
    values = evaluate(composed(f"run_dir={folder}", name="evaluate"))
    (results,) = runs_in([folder])
    assert values["unseen/hit@1"] == results.metrics["unseen/hit@1"]
    opened = Run.open(folder)
    answer = find_images(opened, NAMES[2], k=3)
    assert answer.of_class == NAMES[2]
    assert len(answer.hits) == 3
    if kind == "class_table":
        with pytest.raises(InputError, match="no word vector for 'sofa'"):
            find_images(opened, "sofa")
        return
    capsys.readouterr()
    assert len(find_images(opened, f'"{LONG}"', k=3).hits) == 3
    assert f"the query has more than the {CONTEXT} tokens" in capsys.readouterr().err
