"""Links of files at the top of the repository lead somewhere; mkdocs checks those of the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.pages import TOP, page_id
from helpers.paths import ROOT
from markdown.extensions.toc import slugify

LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")


def broken_links(text: str, page: Path) -> list[str]:
    """The links of a text whose file or heading is missing."""
    broken = []
    for path, anchor in LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
        target = page.parent / path if path else page
        is_page = target.is_file() and target.suffix == ".md" and target != page
        headings = target.read_text(encoding="utf-8") if is_page else text
        slugs = {slugify(title, "-") for title in re.findall(r"^#+ (.*)$", headings, re.M)}
        if not target.exists() or (anchor and anchor not in slugs):
            broken.append(f"{path}#{anchor}".rstrip("#"))
    return broken


@pytest.mark.parametrize("page", TOP, ids=page_id)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page.read_text(encoding="utf-8"), page) == []


def test_a_broken_link_is_seen() -> None:
    text = "# A title\n\n[a](docs/index.md) [b](docs/nowhere.md) [c](#a-title) [d](#no-title)\n"
    text += "[e](docs/concepts/metrics.md#intervals) [f](docs/concepts/metrics.md#interval)\n"
    broken = broken_links(text, ROOT / "README.md")
    assert broken == ["docs/nowhere.md", "#no-title", "docs/concepts/metrics.md#interval"]
