"""The page of the run folder has every file that a real run keeps."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.paths import ROOT


def unnamed_files(run: Path) -> list[str]:
    """What lies in a run folder, and the page has not; folders end in a slash."""
    page = (ROOT / "docs" / "reference" / "run_folder.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([^`]+)`", page))
    present = (f"{path.name}/" if path.is_dir() else path.name for path in run.iterdir())
    return sorted(name for name in present if name not in named)


def test_every_file_of_a_run_is_on_the_page(
    searchable: Path, series: tuple[Path, dict[str, float]]
) -> None:
    for run in (searchable, series[0] / "seed=1"):
        assert (run / "metrics.json").is_file()
        assert unnamed_files(run) == []


def test_a_file_that_the_page_lacks_is_seen(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").touch()
    (tmp_path / "secret.json").touch()
    (tmp_path / "gallery").mkdir()
    assert unnamed_files(tmp_path) == ["secret.json"]
