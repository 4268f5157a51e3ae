"""The config of a run folder, which may be anybody's: plain values of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from devise_exp.runs.files import reading

LARGEST = 2**22  # bytes; that of a data set with an alias for each of 20,000 classes has 2**20


def read_config(folder: Path, name: str, missing: str = "") -> DictConfig:
    """Read a config that a run or a series has written: resolved, without anchors.

    Args:
        folder: The run folder.
        name: Path of the file in the folder.
        missing: What to say and do if it is not there.

    Returns:
        The config.

    Raises:
        InputError: If it is not there, is damaged, or is no config that a run writes: too large, or
            with aliases or interpolations, of which a few lines may stand for gigabytes.
    """
    with reading(folder, name, missing=missing) as file:
        if file.stat().st_size > LARGEST:
            raise ValueError("too large")
        text = file.read_text(encoding="utf-8-sig")
        if "*" in text and any(isinstance(t, yaml.AliasToken) for t in yaml.scan(text)):
            raise ValueError("it has aliases")
        config = OmegaConf.create(text)
        if not isinstance(config, DictConfig) or not config:
            raise ValueError("no mapping")
        if any("${" in value for value in _texts(OmegaConf.to_container(config))):
            raise ValueError("it has interpolations")
    return config


def _texts(value: Any) -> Iterator[str]:
    """All texts in a plain value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
