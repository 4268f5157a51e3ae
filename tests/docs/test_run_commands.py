"""The commands of the pages that ask a finished run, or look at images, run as they stand.

They run page by page, from the first to the last, in a folder that has what the pages name. A block
with any other command has a comment above it that says why it is not run; test_commands.py looks at
its options all the same.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from helpers.pages import PAGES, page_id
from helpers.paths import ROOT
from typer.testing import CliRunner

from devise_exp.ui.cli.main import app

BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+) -->\n+)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"^(?:python|devise-exp|torchrun|srun|sbatch|make) ", re.MULTILINE)
RUN = ("search", "similar", "tag", "words", "index", "show", "classes", "look")
# Classes of the tutorial in place of two of the small images.
RENAMED = {"boat": "okapi", "ship": "zebra"}


def command_blocks(text: str) -> list[tuple[str, list[str]]]:
    """Of each block of commands of a page: why it is not run ("" if it is), and its lines."""
    return [
        (match["reason"] or "", match["code"].replace("\\\n", " ").splitlines())
        for match in BLOCK.finditer(text)
        if match["language"] in ("", "bash") and COMMAND.search(match["code"])
    ]


def can_run(line: str) -> bool:
    return re.match(rf"devise-exp (?:{'|'.join(RUN)}) ", line) is not None


SITE = [page for page in PAGES if not page_id(page).startswith("experiments/")]
PAGES_RUN = [
    page_id(page)
    for page in SITE
    if any(not reason for reason, _ in command_blocks(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("page", SITE, ids=page_id)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    blocks = command_blocks(page.read_text(encoding="utf-8"))
    assert [lines for reason, lines in blocks if not (reason or all(map(can_run, lines)))] == []
    tests = [test for reason, _ in blocks for test in re.findall(r"tests/[\w./]+\w", reason)]
    assert [test for test in tests if not (ROOT / test).exists()] == []


@pytest.fixture
def folder(searchable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages name: a run, and images of new folders."""
    shutil.copytree(searchable, tmp_path / "outputs" / "latest")
    images = shutil.copytree(searchable.parent / "images", tmp_path / "images")
    for name, new in RENAMED.items():
        (images / name).rename(images / new)
    for name in ("photos", "new_images"):
        (tmp_path / name).mkdir()
        for file in sorted((images / "cat").iterdir())[:2]:
            shutil.copy(file, tmp_path / name)
    shutil.copy(images / "dog" / "00.png", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES_RUN)
def test_the_commands_of_a_page_run(page: str, folder: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for _, lines in filter(lambda block: not block[0], command_blocks(text)):
        for line in lines:
            result = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
            assert result.exit_code == 0, (line, result.output)


def test_pages_hold_such_commands() -> None:
    assert {"docs/how_to/search.md", "docs/tutorials/own_images.md"} <= set(PAGES_RUN)
