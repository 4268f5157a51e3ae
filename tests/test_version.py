"""The version is the same wherever it is said."""

from __future__ import annotations

import re
import sys

import yaml
from helpers.paths import ROOT

import devise_exp

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    said = {
        "pyproject.toml": tomllib.loads(read("pyproject.toml"))["project"]["version"],
        "CITATION.cff": citation["version"],
        "docs/index.md": re.findall(r"version = \{(.*)\}", read("docs/index.md"))[0],
    }
    for page in ("README.md", "docs/how_to/index.md"):
        said[page] = re.findall(r"devise_exp-([\d.]+)-py3", read(page))[0]
    assert set(said.values()) == {devise_exp.__version__}, said


def test_the_changelog_begins_with_this_version_and_its_date() -> None:
    date = yaml.safe_load(read("CITATION.cff"))["date-released"]
    headings = re.findall(r"^## (.*)$", read("CHANGELOG.md"), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0] == f"{devise_exp.__version__} ({date})"
    assert headings.index(released[0]) <= 1
