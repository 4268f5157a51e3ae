"""The pages of the documentation, as files of the repository."""

from __future__ import annotations

from pathlib import Path

from helpers.paths import ROOT

TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [
    *TOP,
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("experiments/*/README.md")),
]


def page_id(page: Path) -> str:
    """page_id(ROOT / "docs" / "index.md") -> "docs/index.md"."""
    return page.relative_to(ROOT).as_posix()
