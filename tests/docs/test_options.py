"""Options that a page names outside of a command exist: `split.n_unseen=10`, `data=table`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.pages import PAGES, page_id
from helpers.paths import CONF

from devise_exp.core.short_forms import long_forms

OPTION = re.compile(r"([a-z_]+(?:\.[a-z_]+)*)=(.*)")
# Below these a reader writes names of classes or of parts, or logger.KEY for logger.wandb.KEY.
OPEN = ("labels.aliases.", "labels.merges.", "hydra", "logger.", "callbacks.")


@cache
def groups() -> dict[str, set[str]]:
    """Group -> its options."""
    folders = [path for path in CONF.iterdir() if path.is_dir()]
    return {folder.name: {path.stem for path in folder.glob("*.yaml")} for folder in folders}


@cache
def keys() -> frozenset[str]:
    """The keys of all files of conf/, with the group of each."""
    collected: set[str] = set()
    for path in CONF.rglob("*.yaml"):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
        is_global = path.parent == CONF or "@package _global_" in path.read_text(encoding="utf-8")
        collected.update(_flat(content, "" if is_global else f"{path.parent.name}."))
    return frozenset(collected)


def _flat(content: dict[str, Any], start: str) -> Iterator[str]:
    for key, value in content.items():
        yield f"{start}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{start}{key}.")


def unknown_options(text: str) -> list[str]:
    """The options in the code of a text that conf/ does not have."""
    unknown = []
    text = text.partition("| Python | command line |")[0]  # of python.md: keywords look alike
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`([^`]+)`", prose):
        try:
            words = long_forms(shlex.split(" ".join(code.split())))
        except ValueError:  # an apostrophe
            continue
        matches = list(filter(None, map(OPTION.fullmatch, words)))
        parts = tuple(m[1].removesuffix("_target_") for m in matches if m[1].endswith("_target_"))
        matches = [m for m in matches if not parts or not m[1].startswith(parts)]
        unknown += [match[0] for match in matches if not _is_known(match[1], match[2])]
    return unknown


def _is_known(key: str, value: str) -> bool:
    if key in groups():
        options = set(re.findall(r"[a-z]\w*", value))
        return options <= groups()[key] or value.isupper() or value in ("", "null", "mine")
    is_of_conf = key.partition(".")[0] in {name.partition(".")[0] for name in keys()}
    return key in keys() or key.startswith(OPEN) or not is_of_conf


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_option_on_a_page_exists(page: Path) -> None:
    assert unknown_options(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("option", ["split.unsen=[okapi]", "data=tables", "trainer.epochs=5"])
def test_an_option_with_a_fault_is_seen(option: str) -> None:
    assert unknown_options(f"Say `data=table {option}` instead.") == [option]
