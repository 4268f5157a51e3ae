"""No measured figure stands on a page without the command that gives it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.pages import PAGES, page_id

# 38.6 %, 44.6 ± 0.9, and cells of tables with a decimal.
FIGURE = re.compile(r"\d[.,]\d+ ?%|\d ?± ?\d|\| \**\d+\.\d+\**(?= )")
COMMAND = re.compile(
    r"(?:python (?:train|evaluate|experiments/[\w/]+)\.py|devise-exp \w+|make \w+)(?= |`|$)",
    re.MULTILINE,
)
OPTIONS = re.compile(r"^\| `[a-z_.]+` \|.*$", re.MULTILINE)  # a row with the default of an option


def figures_without_command(text: str) -> list[str]:
    """The figures of each section that neither it nor a section above it has a command for."""
    missing, has_command = [], {0: False}
    for section in re.split(r"^(?=#+ )", text, flags=re.MULTILINE):
        level = len(section) - len(section.lstrip("#"))
        above = any(has for depth, has in has_command.items() if depth < level)
        has_command = {d: has for d, has in has_command.items() if d < level}
        has_command[level] = above or bool(COMMAND.search(section))
        if not has_command[level]:
            missing += FIGURE.findall(OPTIONS.sub("", section))
    return missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_figure_has_its_command(page: Path) -> None:
    assert figures_without_command(page.read_text(encoding="utf-8")) == []


def test_a_figure_without_its_command_is_seen() -> None:
    above = "# Page\n\n`python train.py` prints 12.5 %.\n\n## Part\n\n| 44.6 ± 0.9 |\n"
    assert figures_without_command(above) == []
    beside = "# Page\n\n## One\n\n`python train.py`\n\n## Two\n\nIt has 12.5 % and 3.1 ± 0.2.\n"
    assert figures_without_command(beside) == ["2.5 %", "1 ± 0"]
