"""The code of docs/how_to/python.md runs as it stands."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import ROOT


def test_the_code_of_the_page_runs(
    image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(image_tree, tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "how_to" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    # The page says what a person writes; here the training is short and its network small.
    quick = "trainer__max_epochs=2, backbone='resnet18', backbone__weights=None, report='none', "
    blocks[0] = blocks[0].replace("seed=1, ", f"seed=1, {quick}logger=None, ")
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks:
            exec(compile(block, "docs/how_to/python.md", "exec"), names)
    assert "no option lr: did you mean optimizer__lr?" in printed.getvalue()
    assert [hit.rank for hit in names["hits"]] == [1, 2, 3, 4, 5]
    assert names["metrics"]["unseen/hit@1"] == names["run"].metrics["unseen/hit@1"]
    table = page.partition("| Python | command line |")[2].partition("\n\n")[0]
    assert len(table.splitlines()) == 10


def test_the_code_of_the_readme_runs(
    image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(image_tree, tmp_path / "IMAGES")
    shutil.copy(next((tmp_path / "IMAGES").rglob("*.png")), tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    quick = "trainer__max_epochs=1, backbone='resnet18', backbone__weights=None, report='none', "
    names: dict[str, Any] = {}
    exec(
        compile(block.replace("seed=1", f"seed=1, {quick}logger=None"), "README.md", "exec"), names
    )
    run = names["run"]
    assert len(run.metrics.to_pandas())
    assert "helicopter" in repr(run.search("helicopter"))
    assert len(run.tag("photo.jpg"))
