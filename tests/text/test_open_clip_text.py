"""Vectors of texts by a text tower: the averages that were published, and what is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from helpers.open_clip_folders import DIM, write_folder

from devise_exp.core.errors import InputError
from devise_exp.text.labels import resolve
from devise_exp.text.open_clip_text import open_clip_text

NAMES = ["cat", "sea horse", "okapi", "fire engine"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("folders")
    return {kind: write_folder(root / kind, kind) for kind in ("clip", "siglip")}


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("n", [1, 7, 80])
def test_templates_are_averaged_as_published(folders: dict[str, Path], kind: str, n: int) -> None:
    """Against open_clip's own classifier, and by hand: unit vectors, their mean, at unit length."""
    location = f"local-dir:{folders[kind]}"
    model, tokenizer = open_clip.create_model(location).eval(), open_clip.get_tokenizer(location)
    templates = {1: (lambda c: f"a photo of a {c}.",), 7: open_clip.SIMPLE_IMAGENET_TEMPLATES,
                 80: open_clip.OPENAI_IMAGENET_TEMPLATES}[n]  # fmt: skip
    vectors = open_clip_text(location, templates=n).encode_texts(NAMES)
    theirs = open_clip.build_zero_shot_classifier(model, tokenizer, NAMES, templates).T.numpy()
    np.testing.assert_allclose(vectors, theirs, atol=1e-5)
    with torch.inference_mode():
        rows = model.encode_text(tokenizer([t("okapi") for t in templates])).double().numpy()
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row / np.sqrt((row**2).sum())
    np.testing.assert_allclose(vectors[2], total / np.sqrt((total**2).sum()), atol=1e-5)


@pytest.mark.parametrize(("kind", "limit"), [("clip", 20), ("siglip", 16)])
def test_texts_that_are_cut_are_counted_and_the_cache_remembers(
    folders: dict[str, Path], kind: str, limit: int
) -> None:
    """CLIP's tokenizer knows "cat" as one token and adds two; the other one's tokens are letters,
    and it adds one.
    """
    word, n = ("cat ", limit - 2) if kind == "clip" else ("a", limit - 1)
    texts = [word * n, word * (n + 1), "okapi", word * 60]
    for _ in range(2):
        vectors = open_clip_text(f"local-dir:{folders[kind]}", templates=["{}"])
        cut = vectors.cut_texts([text.strip() for text in texts])
        assert (cut.is_cut.tolist(), cut.limit) == ([False, True, False, True], limit)
    line = vectors.cut_line(resolve(["b", word * (n + 1), word * 60], vectors))
    assert line.startswith(f"2 of 3 classes have texts of more than the {limit} tokens")
    assert line.endswith(f"(the longest: {word * 60})")
    assert vectors.cut_line(resolve(["b"], vectors)) == ""


def test_classes_are_read_as_sentences_and_any_text_has_a_vector(folders: dict[str, Path]) -> None:
    vectors = open_clip_text(f"local-dir:{folders['clip']}", templates=["a {}."])
    resolutions = resolve(
        ["sea_horse", "023.FireEngine"], vectors, {"023.FireEngine": "fire truck"}
    )
    assert [r.words for r in resolutions] == [("sea horse",), ("fire truck",)]
    assert vectors.dim == DIM
    assert "a cat lying on a sofa" in vectors
    assert vectors.name == "open_clip_text clip (1 template)"
    other = open_clip_text(f"local-dir:{folders['clip']}", templates=7)
    assert other.fingerprint != vectors.fingerprint


def test_a_warm_cache_needs_no_torch(folders: dict[str, Path]) -> None:
    code = (
        "import sys\nfrom devise_exp.text.open_clip_text import open_clip_text\n"
        f"vectors = open_clip_text('local-dir:{folders['clip']}', templates=7)\n"
        "print(vectors.encode_texts(['okapi']).tobytes().hex())\n"
        "print([m for m in ('torch', 'open_clip', 'transformers') if m in sys.modules])"
    )
    here = open_clip_text(f"local-dir:{folders['clip']}", templates=7).encode_texts(["okapi"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [here.tobytes().hex(), "[]"]


def test_without_a_model_or_its_tokenizer(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of which model\\? choose backbone=open_clip"):
        open_clip_text(None)
    with pytest.raises(InputError, match="of which model"):
        open_clip_text(True)  # type: ignore[arg-type]  # of backbone=timm
    folder = tmp_path / "siglip"
    folder.mkdir()
    for file in folders["siglip"].iterdir():
        if "tokenizer" not in file.name:
            (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="siglip: its tokenizer cannot be loaded") as caught:
        open_clip_text(f"local-dir:{folder}")
    assert "\n" not in str(caught.value)
