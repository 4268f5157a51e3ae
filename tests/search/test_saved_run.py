"""A finished run opened for asking: its spaces, galleries and network, from the folder alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.data.images import open_image
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import trusted_group
from devise_exp.search.saved_run import Run


def test_each_part_holds_its_rows_of_the_split(searchable: Path) -> None:
    images = searchable.parent / "images"
    saved, split = Run.open(searchable), RunFolder(searchable).split()
    assert saved.galleries() == ["all", "val", "test", "unseen"]
    for part in ("val", "test", "unseen"):
        rows = saved.gallery(part).rows
        assert [row.name for row in rows] == list(split.rows(part))
        assert all(row.label == row.name.split("/")[0] for row in rows)
        assert all(row.path == str(images / row.name) for row in rows)
    together = [row.name for row in saved.gallery("all").rows]
    assert together == [*split.val, *split.test, *split.unseen]
    embedded = RunFolder(searchable).embedded("devise")
    seen = [entry.seen for entry in saved.folder.classes()]
    centre = saved.class_vectors[seen].astype(float).mean(axis=0)
    for part, vectors in (("test", embedded.seen.vectors), ("unseen", embedded.unseen.vectors)):
        away = (vectors - centre) / np.linalg.norm(vectors - centre, axis=1, keepdims=True)
        np.testing.assert_allclose(saved.gallery(part).index.vectors, away, atol=1e-6)


def test_a_image_is_embedded_as_it_was_in_training(searchable: Path) -> None:
    saved = Run.open(searchable)
    assert saved.spaces == ("devise", "backbone", "classifier")
    rows = saved.gallery("all").rows[::7]
    found = saved.embed([open_image(Path(row.path or "")) for row in rows])
    for space in saved.spaces:
        expected = saved.gallery("all", space).index.vectors[::7]
        assert found[space].dtype == np.float32
        np.testing.assert_allclose(found[space], expected, atol=1e-4)


def test_the_classifier_space_is_the_features_times_the_weights_of_the_best_class(
    searchable: Path,
) -> None:
    saved = Run.open(searchable)
    linear = RunFolder(searchable).arrays("classifier")
    assert linear["weight"].shape == (6, 512)
    features = saved.gallery("all", "backbone").index.vectors.astype(float)
    # The bias stands beside features of full length, which the unit rows have lost: take the rows
    # whose best class does not depend on it.
    certain = 0
    for row, found in zip(features, saved.gallery("all", "classifier").index.vectors, strict=True):
        candidates = [row * w / np.linalg.norm(row * w) for w in linear["weight"].astype(float)]
        certain += any(np.allclose(found, candidate, atol=1e-5) for candidate in candidates)
    assert certain == len(features)


def test_what_a_run_does_not_have_is_one_line(searchable: Path, tmp_path: Path) -> None:
    saved = Run.open(searchable)
    with pytest.raises(InputError, match="devise-exp index"):
        saved.gallery(str(tmp_path / "holiday"))
    plain = shutil.copytree(searchable, tmp_path / "plain")
    config = OmegaConf.load(plain / "config.yaml")
    config.spaces = []
    OmegaConf.save(config, plain / "config.yaml")
    with pytest.raises(InputError, match=r"spaces=\[backbone\]"):
        Run.open(plain).gallery("all", "backbone")
    with pytest.raises(InputError, match="choose among devise, backbone, classifier"):
        saved.gallery("all", "pixels")
    config.word_vectors = {
        "_target_": "devise_exp.text.word_vectors.random_word_vectors",
        "dim": 7,
        "seed": 0,
    }
    OmegaConf.save(config, plain / "config.yaml")
    with pytest.raises(InputError, match="7 dimensions now, not 50"):
        _ = Run.open(plain).vocabulary


@pytest.mark.parametrize(
    ("group", "content"),
    [
        ("projection", {"_target_": "os.system", "command": "touch evil"}),
        (
            "projection",
            {"_target_": "devise_exp.methods.projection.linear", "x": {"_target_": "os.getcwd"}},
        ),
        ("backbone", {"_target_": "devise_exp.backbones.evil"}),
        ("backbone", "resnet18"),
        ("backbone", {"_target_": "devise_exp.backbone.torch.load", "f": "x"}),
        ("projection", {"_target_": "devise_exp.methods.projection.linear", "x": "${elsewhere}"}),
    ],
)
def test_nothing_foreign_is_built(
    searchable: Path, tmp_path: Path, group: str, content: object
) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    config = OmegaConf.load(folder / "config.yaml")
    config[group] = content
    config.elsewhere = {"_target_": "os.getcwd"}
    OmegaConf.save(config, folder / "config.yaml")
    saved = Run.open(folder)
    row = saved.gallery("all").rows[0]
    with pytest.raises(InputError, match=f"as the {group}, which is not built unasked"):
        saved.embed([open_image(Path(row.path or ""))])
    assert not (Path.cwd() / "evil").exists()
    assert saved.vocabulary.rank("cat") is not None  # words do without it


def test_a_checkpoint_of_another_shape_is_told(searchable: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    config = OmegaConf.load(folder / "config.yaml")
    config.projection.hidden = 8
    OmegaConf.save(config, folder / "config.yaml")
    saved = Run.open(folder)
    path = saved.gallery("all").rows[0].path
    with pytest.raises(InputError, match="another shape"):
        saved.embed([open_image(Path(path or ""))])


@pytest.mark.parametrize(
    ("group", "content"),
    [
        ("word_vectors", {"_target_": "devise_exp.text.word_vectors.load_word_vectors",
                          "path": "evil.kv", "trust_pickle": True}),
        ("index", {"_target_": "devise_exp.index.np.load", "file": "x", "allow_pickle": True}),
    ],
)  # fmt: skip
def test_no_pickle_is_read(searchable: Path, tmp_path: Path, group: str, content: object) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    config = OmegaConf.load(folder / "config.yaml")
    config[group] = content
    OmegaConf.save(config, folder / "config.yaml")
    with pytest.raises(InputError, match=f"as the {group}, which is not built unasked"):
        trusted_group(RunFolder(folder).config(), group, folder)
