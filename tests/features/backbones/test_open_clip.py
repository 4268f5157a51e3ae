"""Image towers of open_clip: the preprocessing of the folder, and one line for what is no model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from helpers.backbones import IMAGES, feature
from helpers.open_clip_folders import DIM, write_folder
from helpers.open_clip_folders import IMAGES as PREPARED
from safetensors.torch import load_file, save_file

from devise_exp.core.errors import InputError
from devise_exp.core.open_clip_source import open_clip_source
from devise_exp.features.backbones.base import CAPTIONS
from devise_exp.features.backbones.open_clip import open_clip_backbone

WEIGHTS = "open_clip_model.safetensors"
MAPPING = {key: list(v) if isinstance(v, tuple) else v for key, v in PREPARED["clip"].items()}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clip") / "tiny-clip")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("siglip") / "tiny-siglip", "siglip")


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_features_are_those_that_open_clip_gives(kind: str, request: Any) -> None:
    folder: Path = request.getfixturevalue(kind)
    model, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    backbone = open_clip_backbone(f"local-dir:{folder}")
    assert backbone.name == f"open_clip/tiny-{kind}"
    assert (backbone.categories, backbone.unpublished) == (None, CAPTIONS)
    for image in IMAGES:
        with torch.inference_mode():
            expected = model.eval().encode_image(prepare(image)[None])[0]
        assert torch.allclose(feature(backbone, image), expected, atol=1e-6)
        assert torch.allclose(backbone.preprocess(image), prepare(image), atol=1e-6)


def test_the_folder_by_any_of_its_spellings(clip: Path) -> None:
    first = open_clip_backbone(f"local-dir:{clip}")
    for arguments in ({"pretrained": str(clip)}, {"pretrained": None, "name": f"local-dir:{clip}"}):
        assert open_clip_backbone(**arguments).fingerprint == first.fingerprint


def test_what_tensors_do_not_show_is_part_of_the_fingerprint(clip: Path, tmp_path: Path) -> None:
    """Heads and activations change the features of the same tensors."""
    other = shutil.copytree(clip, tmp_path / clip.name)
    settings = json.loads((other / "open_clip_config.json").read_text())
    settings["model_cfg"]["vision_cfg"]["head_width"] = 16
    (other / "open_clip_config.json").write_text(json.dumps(settings))
    first, second = open_clip_backbone(str(clip)), open_clip_backbone(str(other))
    assert not torch.allclose(feature(first), feature(second), atol=1e-3)
    assert first.name == second.name
    assert first.fingerprint != second.fingerprint


def test_a_bare_file_asks_how_its_images_were_prepared(clip: Path, tmp_path: Path) -> None:
    """open_clip would take OpenAI's means; the folder has others, and so other features."""
    file = tmp_path / "weights.safetensors"
    shutil.copy(clip / WEIGHTS, file)
    open_clip.add_model_config(clip.parent / f"tiny-{DIM}.json")
    arguments = {"name": f"tiny-{DIM}", "pretrained": str(file)}
    with pytest.raises(InputError, match="bare file of weights does not say how its images"):
        open_clip_backbone(**arguments)
    in_folder = {**arguments, "pretrained": str(clip / WEIGHTS)}
    with pytest.raises(InputError, match=f"give the whole folder: local-dir:{clip}"):
        open_clip_backbone(**in_folder)
    with pytest.raises(InputError, match="is neither"):
        open_clip_backbone(**arguments, preprocess="openai")  # no tag of this network
    named = open_clip_backbone(**arguments, preprocess=MAPPING)
    assert torch.allclose(feature(named), feature(open_clip_backbone(str(clip))), atol=1e-6)


def test_a_folder_that_does_not_say_it_asks_too(clip: Path, tmp_path: Path) -> None:
    other = shutil.copytree(clip, tmp_path / "silent")
    settings = json.loads((other / "open_clip_config.json").read_text())
    (other / "open_clip_config.json").write_text(json.dumps({"model_cfg": settings["model_cfg"]}))
    with pytest.raises(InputError, match=r"has no preprocess_cfg: give backbone\.preprocess="):
        open_clip_backbone(str(other))
    backbone = open_clip_backbone(str(other), preprocess=MAPPING)
    assert backbone.preprocess == open_clip_backbone(str(clip)).preprocess
    with pytest.raises(InputError, match="says how its images are prepared: leave it out"):
        open_clip_backbone(str(clip), preprocess=MAPPING)


def test_a_tag_brings_its_activation_to_a_bare_file(tmp_path: Path) -> None:
    """OpenAI's weights in ViT-B-32 without quick_gelu give other features, in silence."""
    file = tmp_path / "weights.pt"
    torch.save({}, file)
    source = open_clip_source("backbone", "ViT-B-32", str(file), "openai")
    assert source.quick_gelu
    assert not open_clip_source("backbone", "ViT-B-32", str(file), "laion2b_s34b_b79k").quick_gelu
    assert source.images["mean"] == open_clip.OPENAI_DATASET_MEAN


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"pretrained": "local-dir:nowhere"}, "nowhere: no such folder"),
        ({"pretrained": "nowhere"}, "no such file or folder, and no tag that open_clip knows"),
        ({"pretrained": "laion2b_s34b_b79k"}, r"of which network\? .* such as .*ViT-B-32"),
        ({"pretrained": "openai", "name": "ViT-B-33"}, "no such network; near ones: .*ViT-B-32"),
        ({"pretrained": "opena", "name": "ViT-B-32"}, "no such tag, .* choose among openai, "),
        ({"pretrained": True}, "pretrained=True: give a tag"),
        ({"pretrained": "openai", "name": "local-dir:x"}, "give one of the two"),
    ],
)
def test_what_names_no_model_is_one_line(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        open_clip_backbone(**arguments)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_damaged_folders_are_one_line(clip: Path, siglip: Path, tmp_path: Path) -> None:
    def broken(name: str, line: str, source: Path = clip, **files: bytes | None) -> None:
        folder = shutil.copytree(source, tmp_path / name)
        for file, content in files.items():
            path = folder / {"settings": "open_clip_config.json", "weights": WEIGHTS}[file]
            path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(InputError, match=line) as caught:
            open_clip_backbone(str(folder))
        assert "\n" not in str(caught.value)

    broken("bare", "no folder of an open_clip model, as it has no open_clip_config", settings=None)
    broken("junk", "no settings of an open_clip model", settings=b"{")
    broken("list", "no settings of an open_clip model", settings=b"[1]")
    broken("towers", "no settings of two towers", settings=b'{"model_cfg": {"vision_cfg": 1, '
           b'"text_cfg": 2}}')  # fmt: skip
    broken("empty", "holds no file of weights", weights=None)
    broken("torn", "cannot be loaded into torn", weights=(clip / WEIGHTS).read_bytes()[:5000])
    broken("other", "cannot be loaded into other", weights=(siglip / WEIGHTS).read_bytes())
    settings = json.loads((clip / "open_clip_config.json").read_text())
    for key, value, line in (
        ("mean", [0.5, "x", 0.5], "mean=.* is no number for each of three channels"),
        ("std", [0.5, 0, 0.5], "std=.* is no number for each"),
        ("resize_mode", "longest", "resize_mode=longest: only shortest and squash"),
    ):
        images = {**settings["preprocess_cfg"], key: value}
        content = json.dumps({**settings, "preprocess_cfg": images}).encode()
        broken(f"images-{key}", line, settings=content)


def test_a_tensor_that_is_missing_does_not_stay_random(clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip, tmp_path / "lacking")
    tensors = load_file(clip / WEIGHTS)
    del tensors["visual.proj"]
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(InputError, match=r"cannot be loaded into lacking .*visual\.proj"):
        open_clip_backbone(str(folder))


def test_no_network_is_asked_for_a_folder(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refused)
    backbone = open_clip_backbone(str(clip))
    assert np.isfinite(feature(backbone).numpy()).all()
