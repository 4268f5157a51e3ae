"""Run folders of somebody else: whatever their files hold, every command says it in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from typer.testing import CliRunner

from devise_exp.core.errors import InputError
from devise_exp.runs.folder import RunFolder
from devise_exp.search.saved_run import Run
from devise_exp.ui.cli.main import app

Change = Callable[[Path], None]
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")
)
TEXT_BOMB = "a: xxxxxxxxxx\n" + "".join(
    f"{b}: ${{{a}}}${{{a}}}\n" for a, b in pairwise("abcdefghijklmnopqrst")
)
HUGE = b"\x93NUMPY\x01\x00v\x00" + (
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (50000000000, 1000), }".ljust(117) + b"\n"
)


def text(name: str, content: str) -> Change:
    return lambda run: (run / name).write_text(content, encoding="utf-8") and None


def entry(name: str, change: Callable[[Any], Any]) -> Change:
    def apply(run: Path) -> None:
        content = json.loads((run / name).read_text(encoding="utf-8"))
        (run / name).write_text(json.dumps(change(content)), encoding="utf-8")

    return apply


def vectors(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def apply(run: Path) -> None:
        np.save(run / "class_vectors.npy", change(np.load(run / "class_vectors.npy")))

    return apply


def arrays(name: str, **changes: Callable[[np.ndarray], np.ndarray]) -> Change:
    def apply(run: Path) -> None:
        with np.load(run / name) as archive:
            content = dict(archive)
        content |= {key: change(content[key]) for key, change in changes.items()}
        np.savez(run / name, **content)

    return apply


def first_class(**values: object) -> Change:
    return entry("classes.json", lambda content: [content[0] | values, *content[1:]])


WORDS: dict[str, Change] = {  # what `devise-exp words` reads
    "a header of 182 TiB": lambda run: (run / "class_vectors.npy").write_bytes(HUGE) and None,
    "too few vectors": vectors(lambda v: v[:-1]),
    "vectors that are NaN": vectors(lambda v: v * np.nan),
    "whole numbers": vectors(lambda v: v.astype(np.int64)),
    "one long vector": vectors(np.ravel),
    "words that are numbers": first_class(words=[1, 2]),
    "a word for words": first_class(words="cat"),
    "a side that is a text": first_class(seen="false"),
    "no classes": text("classes.json", "{}"),
    "deep classes": text("classes.json", "[" * 100_000),
    "two classes of one name": entry("classes.json", lambda content: [content[0], *content]),
    "a bomb of aliases": text("config.yaml", BOMB),
    "a bomb of interpolations": text("config.yaml", TEXT_BOMB),
    "a deep config": text("config.yaml", "a: " + "[" * 100_000),
    "an object in the config": text("config.yaml", "a: !!python/object/apply:os.getcwd []\n"),
    "a large config": text("config.yaml", "a: x\n" + "#" * 2**23),
}
EVALUATED: dict[str, Change] = {  # what an evaluation reads
    "embeddings that are NaN": arrays("embeddings/devise.npz", seen=lambda a: a * np.nan),
    "classes out of range": arrays("embeddings/devise.npz", seen_truth=lambda a: a + 100),
    "classes below zero": arrays("embeddings/devise.npz", unseen_truth=lambda a: a - 100),
    "fewer images than classes": arrays("embeddings/devise.npz", seen=lambda a: a[:-1]),
    "another number of classes": arrays("embeddings/devise.npz", class_vectors=lambda a: a[:-1]),
    "a flag that is a number": arrays("embeddings/devise.npz", trained_map=lambda _: np.array(5)),
    "nothing about": entry("about.json", lambda content: content | {"about": {}}),
    "a method with the name of a path": entry(
        "about.json", lambda content: content | {"methods": {"../../x": {}}}
    ),
    "classes without a sense": entry("hierarchy.json", lambda content: content | {"nodes": []}),
    "senses of a million classes": entry(
        "hierarchy.json", lambda content: content | {"nodes": content["nodes"][:1] * 10**6}
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_of_a_hostile_run_are_one_line(searchable: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    WORDS[name](folder)
    result = CliRunner().invoke(app, ["words", str(folder), "cat"])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {folder}")
    assert result.stderr.endswith(": damaged: train the run again\n")


@pytest.mark.parametrize("name", EVALUATED)
def test_an_evaluation_of_a_hostile_run_is_one_line(
    searchable: Path, tmp_path: Path, name: str
) -> None:
    folder = RunFolder(shutil.copytree(searchable, tmp_path / "run"))
    EVALUATED[name](folder.path)
    with pytest.raises(InputError, match=r"damaged: train the run again$"):
        folder.about(), folder.embeddings(), folder.hierarchy()


def test_an_evaluation_says_damage_of_vectors_that_only_a_search_uses(
    searchable: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    WORDS["vectors that are NaN"](folder)
    result = CliRunner().invoke(app, ["evaluate", f"run_dir={folder}"])
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith(f"error: {folder}/class_vectors.npy"), result.stderr
    assert result.stderr.endswith(": damaged: train the run again\n")
    assert not (folder / "evaluations").exists()


@pytest.mark.parametrize(
    "change",
    [
        entry("metrics.json", lambda content: content | {"unseen/hit@1": [1, 2]}),
        entry("metrics.json", lambda content: {}),
        text("metrics.json", "[" * 100_000),
        text("metrics.json", "null"),
    ],
)
def test_a_comparison_of_a_hostile_run_is_one_line(
    searchable: Path, tmp_path: Path, change: Change
) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    change(folder)
    result = CliRunner().invoke(app, ["compare", str(folder)])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output


def test_a_file_that_is_none_is_not_waited_for(searchable: Path, tmp_path: Path) -> None:
    for name in ("config.yaml", "classes.json", "class_vectors.npy", "gallery/devise/meta.json",
                 "gallery/devise/vectors.npy", "gallery/rows.json"):  # fmt: skip
        folder = shutil.copytree(searchable, tmp_path / name.replace("/", "_"))
        (folder / name).unlink()
        os.mkfifo(folder / name)
        result = CliRunner().invoke(app, ["search", str(folder), "cat"])
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output


@pytest.mark.parametrize("hidden", [10**12, 17])
def test_a_projection_takes_no_memory_for_what_it_claims(
    searchable: Path, tmp_path: Path, hidden: int
) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    config = OmegaConf.load(folder / "config.yaml")
    config.projection.hidden = hidden
    OmegaConf.save(config, folder / "config.yaml")
    with pytest.raises(InputError, match="a checkpoint of another shape"):
        Run.open(folder)._encoder  # noqa: B018


def test_weights_that_are_not_finite_are_refused(searchable: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    file = folder / "checkpoints/best.ckpt"
    content = torch.load(file, weights_only=True)
    name = next(name for name in content["state_dict"] if name.startswith("projection."))
    content["state_dict"][name] = content["state_dict"][name] * float("nan")
    torch.save(content, file)
    with pytest.raises(InputError, match="holds NaN or infinity"):
        Run.open(folder)._encoder  # noqa: B018
