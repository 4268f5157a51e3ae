"""The Python code of the pages runs, on a small finished run."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from helpers.pages import PAGES, page_id
from helpers.paths import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Pages whose code is run elsewhere, and the test that does it.
ELSEWHERE = {
    "docs/how_to/python.md": "tests/ui/python/test_page.py",
    "docs/how_to/own_parts.md": "tests/integration/test_own_parts.py",
    "README.md": "tests/ui/python/test_page.py",
}
HERE = ["docs/how_to/predictions.md", "docs/reference/metrics_python.md"]


def blocks(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", HERE)
def test_the_code_of_a_page_runs(
    page: str, searchable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "latest").symlink_to(searchable)
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks(page):
            exec(compile(block, page, "exec"), {})
    assert "nan" not in printed.getvalue()


def test_all_python_code_is_run_somewhere() -> None:
    pages = {page_id(page) for page in PAGES if blocks(page_id(page))}
    assert pages == {*ELSEWHERE, *HERE}
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())
