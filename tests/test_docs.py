"""The pages say what is true: the picture of the packages, paths, and names of code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from helpers.pages import PAGES, page_id
from helpers.paths import ROOT
from helpers.scripts import load_script

NAME = re.compile(r"`(devise_exp(?:\.\w+)+)`")
# A path of the repository in backticks: src/..., tests/..., conf/..., docs/..., experiments/...
PLACE = re.compile(r"`((?:src|tests|conf|docs|experiments)/[\w./-]*)`")


def test_the_picture_of_the_packages_is_current() -> None:
    house = load_script(ROOT / "docs" / "house.py")
    page = house.PAGE.read_text(encoding="utf-8")
    assert house.with_picture(page) == page, "run: python docs/house.py"
    assert sum(len(row) for row in house.layers()) == 13


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 130
    assert [line for line in lines if len(line) > 120] == []


def test_tables_of_pages_are_those_that_their_script_writes() -> None:
    tables = load_script(ROOT / "docs" / "tables.py")
    blocks = {
        name: re.findall(r"<!-- table ([\w ]+):", (ROOT / name).read_text(encoding="utf-8"))
        for name in tables.PAGES
    }
    assert all(blocks.values())
    assert {name for names in blocks.values() for name in names} == set(tables.TABLES)


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
