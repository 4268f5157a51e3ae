"""An ONNX model of a run: network, projection and additions in one file, vectors beside."""

from __future__ import annotations

import json
import warnings
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.evaluation.protocols import MODEL as DEVISE
from devise_exp.pipelines.export.contents import (
    MARK,
    MAX_DIFFERENCE,
    check_free,
    describe,
    sample_images,
)
from devise_exp.pipelines.export.model import WholeModel
from devise_exp.search.encoder import load_model
from devise_exp.search.neighbours import frequent_vectors
from devise_exp.search.saved_run import Run

MODEL, SCRIPT = "model.onnx", "name_image.py"
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def export_onnx(run: Run, output: Path, n_words: int | None = None) -> dict[str, Any]:
    """Write a run as an ONNX model with all that names an image.

    Args:
        run: The run.
        output: A new folder, or that of an export, which is replaced.
        n_words: The most frequent words whose vectors are written too; None: all of them.

    Returns:
        The content of export.json.

    Raises:
        InputError: A package is missing, the model cannot be written as ONNX, or onnxruntime
            computes something else than torch.
    """
    check_packages()
    check_free(output)
    saved = load_model(run.folder, run.class_vectors.shape[1])
    content = describe(run, saved.backbone)
    images = [saved.backbone.preprocess(image) for image in sample_images(run)]
    model = WholeModel.of(saved)
    with atomic_path(output) as folder:
        folder.mkdir()
        _write_model(model, torch.stack(images[:2]), folder / MODEL)
        content["check"] = check_engines(model, torch.stack(images), folder, run.labels)
        np.save(folder / "class_vectors.npy", run.labels)
        np.save(folder / "centre.npy", run.centre)
        content["n_words"] = _write_words(run, n_words, folder)
        (folder / MARK).write_text(json.dumps(content, indent=1), encoding="utf-8")
        script = files("devise_exp.pipelines.export").joinpath(SCRIPT)
        (folder / SCRIPT).write_text(script.read_text(encoding="utf-8"), encoding="utf-8")
    return content


def check_packages() -> None:
    """Check that the packages of the extra are installed.

    Raises:
        InputError: One is not.
    """
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise InputError(
            f"export --format onnx needs {', '.join(missing)}: pip install 'devise-exp[export]'"
        )


def check_engines(
    model: WholeModel, pixels: torch.Tensor, folder: Path, class_vectors: np.ndarray
) -> dict[str, Any]:
    """Compare what torch and onnxruntime make of images.

    Args:
        model: In torch.
        pixels: (N, 3, crop, crop) normalized images.
        folder: Holds the model as ONNX.
        class_vectors: (C, D) unit rows.

    Returns:
        How many images were compared, the largest difference of a number of their unit rows, and
        of how many images the five nearest labels are the same.

    Raises:
        InputError: The two differ by more than MAX_DIFFERENCE.
    """
    from onnxruntime import InferenceSession

    with torch.inference_mode():
        expected = model(pixels).numpy()
    session = InferenceSession(folder / MODEL)
    actual = np.concatenate([session.run(None, {"pixels": one[None].numpy()})[0] for one in pixels])
    difference = float(np.abs(actual - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise InputError(
            f"onnxruntime's embeddings differ from torch's by {difference:.2g}, so the model was "
            "not written: export with other versions of torch and onnxruntime"
        )
    tops = [np.argsort(-rows @ class_vectors.T, axis=1)[:, :5] for rows in (expected, actual)]
    return {
        "images": len(pixels),
        "largest_difference": difference,
        "same_top_5": int((tops[0] == tops[1]).all(axis=1).sum()),
    }


def _write_model(model: WholeModel, pixels: torch.Tensor, path: Path) -> None:
    """Write the model for batches of any size."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (pixels,),
                str(path),
                input_names=["pixels"],
                output_names=["embedding"],
                dynamic_axes={"pixels": {0: "batch"}, "embedding": {0: "batch"}},
                dynamo=False,
            )
    except Exception as error:  # whatever an operator of somebody's network raises
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"the network cannot be written as ONNX ({reason}): take --format hub"
        ) from error


def _write_words(run: Run, n_words: int | None, folder: Path) -> int:
    """Write words of the vocabulary with their vectors; return how many."""
    if not len(run.vocabulary.vectors) or n_words == 0:
        return 0
    n = len(run.vocabulary.vectors)
    vectors = frequent_vectors(run, None if n_words is None else min(n_words, n))
    placed = run.words_in(DEVISE, vectors)
    np.save(folder / "word_vectors.npy", np.asarray(placed, dtype=np.float32))
    words = run.vocabulary.words
    text = "".join(f"{words[i]}\n" for i in range(len(vectors)))
    (folder / "words.txt").write_text(text, encoding="utf-8", newline="\n")
    return len(vectors)
