"""The pages say what is true: the picture of the packages, paths, and names of code."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import pytest
from helpers.paths import CONF, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAME = re.compile(r"`(devise_exp(?:\.\w+)+)`")
# A path of the repository in backticks: src/..., tests/..., conf/..., docs/..., experiments/...
PLACE = re.compile(r"`((?:src|tests|conf|docs|experiments)/[\w./-]*)`")


def page_id(page: Path) -> str:
    return page.name


def test_the_picture_of_the_packages_is_current() -> None:
    spec = importlib.util.spec_from_file_location("house", ROOT / "docs" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)
    page = house.PAGE.read_text(encoding="utf-8")
    assert house.with_picture(page) == page, "run: python docs/house.py"
    assert sum(len(row) for row in house.layers()) == 13


def test_the_readme_lists_every_option() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    options = {
        f"{folder.name}={path.stem}"
        for folder in CONF.iterdir()
        if folder.is_dir() and folder.name not in ("experiment", "study")
        for path in folder.glob("*.yaml")
        if path.stem != "own"  # of most groups, said once
    }
    rows = [line for line in lines if re.match(r"\| `\w+`(, `\w+`)? \| `", line)]
    listed = set()
    for row in rows:
        groups, values = row.strip("| ").split(" | ", 1)
        # `optimizer`, `scheduler` | their options, with a semicolon between them
        for group, part in zip(re.findall(r"`(\w+)`", groups), values.split("; "), strict=False):
            listed |= {f"{group}={option}" for option in re.findall(r"`(\w+)`", part)}
    assert options <= listed


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_path_on_a_page_exists(page: Path) -> None:
    paths = [p for p in PLACE.findall(page.read_text(encoding="utf-8")) if "NAME" not in p]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_name_of_code_on_a_page_exists(page: Path) -> None:
    missing = []
    for name in NAME.findall(page.read_text(encoding="utf-8")):
        module, _, attribute = name.rpartition(".")
        try:
            if not hasattr(importlib.import_module(module), attribute):
                importlib.import_module(name)
        except ImportError:
            missing.append(name)
    assert missing == []
