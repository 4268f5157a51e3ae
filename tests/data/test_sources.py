"""Published datasets that are missing or fail to download, and their configs."""

from __future__ import annotations

import inspect
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra.utils
import pytest
from helpers.paths import CONF
from helpers.published_sets import caltech101_tree, food101_files
from omegaconf import DictConfig, OmegaConf

from devise_exp.core.errors import InputError
from devise_exp.data.caltech import caltech101, caltech256
from devise_exp.data.imagenet_sets import imagenet, tiny_imagenet200
from devise_exp.data.intel import intel_scenes
from devise_exp.data.torchvision_sets import cifar100, flowers102, food101

GROUP = CONF / "data"


DOWNLOADABLE = [caltech101, caltech256, cifar100, food101, flowers102]


@pytest.mark.parametrize("constructor", [*DOWNLOADABLE, imagenet, tiny_imagenet200, intel_scenes])
def test_a_missing_dataset_names_its_layout(
    constructor: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise AssertionError("nobody asked for a download")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(InputError) as raised:
        constructor(root)
    message = str(raised.value)
    assert f"expected {root}/" in message
    assert ("data.download=true" in message) == (constructor in DOWNLOADABLE)
    assert "\n" not in message


@pytest.mark.parametrize("constructor", DOWNLOADABLE)
def test_a_failed_download_says_what_to_fetch_and_where_to_put_it(
    constructor: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def offline(request: urllib.request.Request, *_: Any, **__: Any) -> None:
        asked.append(request.full_url)
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(InputError, match=r"the download failed \(.*no route to host") as raised:
        constructor(root, download=True)
    assert asked
    archive = asked[0].rsplit("/", 1)[1]
    assert archive in str(raised.value)
    assert f"unpack it to {root}/" in str(raised.value)


def test_images_at_hand_are_not_downloaded_again(root: Path) -> None:
    caltech101_tree(root)
    assert len(caltech101(root, download=True).rows) == 4
    food101_files(root)
    assert len(food101(root, download=True).rows) == 5


def of_group(path: Path) -> DictConfig:
    """The dataset's own part of a file that may also choose its labels and split."""
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    return config.get("data", config)


CONFIGS = [path for path in sorted(GROUP.glob("*.yaml")) if path.stem != "own"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_each_config_has_the_keys_of_its_constructor(path: Path) -> None:
    config = of_group(path)
    target = config.pop("_target_")
    constructor = hydra.utils.get_method(target)
    parameters = inspect.signature(constructor).parameters
    assert list(config) == list(parameters)
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty:
            assert OmegaConf.is_missing(config, key)
        elif key != "name":  # what a class folder is called in tables
            assert config[key] == parameter.default


def test_a_config_makes_its_dataset() -> None:
    dataset = hydra.utils.instantiate(of_group(GROUP / "caltech101.yaml"))
    assert len(dataset.rows) == 8677
