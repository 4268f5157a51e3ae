"""The studies of these tests, and one that is finished; all workers share them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.sweeps import in_process, write_studies

from devise_exp.pipelines.sweep.results import Results


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run, the same for all of its workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "sweeps"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def studies(image_tree: Path, sweep_folder: Path) -> Path:
    """A folder of studies over quick trainings on enough small classes for class folds."""
    with FileLock(sweep_folder / "studies.lock"):
        if not (sweep_folder / "studies").exists():
            write_studies(image_tree, sweep_folder)
    return sweep_folder / "studies"


@pytest.fixture(scope="session")
def alone(studies: Path, sweep_folder: Path) -> Results:
    """The results of a study that is finished; a test copies what it changes."""
    with FileLock(sweep_folder / "alone.lock"):
        return in_process(studies, sweep_folder / "alone")  # a finished study ends at once


@pytest.fixture(params=["journal", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/log" if request.param == "journal" else f"sqlite:///{tmp_path}/studies.db"
