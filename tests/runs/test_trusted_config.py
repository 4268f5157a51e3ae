"""A run folder's config builds nothing but functions of this project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.data.decoding import open_image
from devise_exp.runs.folder import RunFolder
from devise_exp.runs.trusted_config import refuse_untrusted, trusted_group, user_parts
from devise_exp.search.saved_run import Run


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
    ],
)
def test_nothing_foreign_is_built(
    searchable: Path, tmp_path: Path, group: str, content: object
) -> None:
    folder = shutil.copytree(searchable, tmp_path / "run")
    config = OmegaConf.load(folder / "config.yaml")
    config[group] = content
    OmegaConf.save(config, folder / "config.yaml")
    saved = Run.open(folder)
    row = saved.gallery("all").rows[0]
    with pytest.raises(InputError, match=f"as the {group}, which is not built unasked"):
        saved.embed([open_image(Path(row.path or ""))])
    assert not (Path.cwd() / "evil").exists()
    assert saved.vocabulary.rank("cat") is not None  # words do without it


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


@pytest.mark.parametrize(
    "flags", [{"_partial_": [True]}, {"_partial_": "yes"}, {"_args_": [1]}, {"_convert_": "x"}]
)
def test_keys_of_hydra_are_those_of_this_project(tmp_path: Path, flags: dict[str, object]) -> None:
    config = OmegaConf.create({"index": {"_target_": "devise_exp.index.ExactIndex", **flags}})
    with pytest.raises(InputError, match="as the index, which is not built unasked"):
        trusted_group(config, "index", tmp_path)
    config.index = {"_target_": "devise_exp.index.ExactIndex", "_partial_": True}
    assert trusted_group(config, "index", tmp_path) == config.index


def test_what_would_be_imported_is_said(tmp_path: Path) -> None:
    config = OmegaConf.create({
        "loss": {"_target_": "mymodule.loss", "inner": [{"_target_": "os.getcwd"}]},
        "optimizer": {"_target_": "torch.optim.Adam"},
        "projection": {"_target_": "devise_exp.methods.losses.torch.load"},
        "index": {"_target_": "devise_exp.index.ExactIndex"},
        "callbacks": {"a": {"_target_": "pytorch_lightning.callbacks.Timer"}},
    })  # fmt: skip
    parts = {
        "loss": "mymodule.loss",
        "loss.inner[0]": "os.getcwd",
        "projection": "devise_exp.methods.losses.torch.load",
    }
    assert {path: node["_target_"] for path, node in user_parts(config).items()} == parts
    said = ", ".join(f"{path}={target}" for path, target in parts.items())
    with pytest.raises(InputError) as error:
        refuse_untrusted(config, "run")
    assert f"it would import {said}: if you trust it, add --trust" in str(error.value)
    with pytest.raises(InputError, match=r"would import projection=devise_exp.*: if you trust it"):
        trusted_group(config, "projection", tmp_path)


def test_a_name_that_this_project_lacks_needs_no_trust() -> None:
    config = OmegaConf.create({"loss": {"_target_": "devise_exp.methods.losses.softmx"}})
    line = r"^loss._target_=devise_exp.methods.losses.softmx: .* has no softmx .*mean softmax"
    with pytest.raises(InputError, match=line):
        refuse_untrusted(config, "run")


def test_every_option_of_this_project_is_trusted(composed: Callable[..., DictConfig]) -> None:
    assert user_parts(composed("method=all")) == {}


def test_a_trusted_folder_is_built_or_one_line_says_why_not(tmp_path: Path) -> None:
    config = OmegaConf.create({"projection": {"_target_": "torch.nn.functional.linear"}})
    assert trusted_group(config, "projection", tmp_path, trust=True) == config.projection
    config.projection._target_ = "nosuchmodule.linear"
    with pytest.raises(InputError, match="there is no module nosuchmodule"):
        trusted_group(config, "projection", tmp_path, trust=True)
