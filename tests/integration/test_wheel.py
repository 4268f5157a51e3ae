"""The wheel alone, in an environment without the clone: every command works from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.configs import FEW
from helpers.options import options
from helpers.paths import ROOT

SOURCES = ("src", "conf", "pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")
Devise = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves files behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source, target = ROOT / name, folder / "clone" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.egg-info"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    subprocess.run([*pip, "wheel", *options, str(folder / "clone")], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def devise(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Devise:
    """Run devise-exp of a fresh environment, in an empty folder.

    The dependencies are those of this environment; the package itself is the wheel's.
    """
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python))
    options = ("--quiet", "--no-deps", "--no-index", str(wheel))
    subprocess.run([*pip, "install", *options], check=True, env=variables)
    (site,) = environment.glob("lib/python*/site-packages")
    # The packages of a folder in a .pth file are seen, but not the .pth files in that folder.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "work").mkdir()

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = str(environment / "bin" / "devise-exp")
        return subprocess.run(
            [program, *arguments],
            cwd=folder / "work",
            env=variables,
            capture_output=True,
            text=True,
            timeout=600,
        )

    code = "import devise_exp; print(devise_exp.__file__)"
    where = [str(python), "-c", code]
    ended = subprocess.run(where, env=variables, capture_output=True, text=True, cwd=folder)
    assert Path(ended.stdout.strip()).is_relative_to(site), ended.stderr
    return call


@pytest.fixture(scope="module")
def trained(devise: Devise) -> str:
    """A job of a grid, trained on two devices, as a run folder."""
    few = [option for option in FEW if option != "report=none"]
    several = ("trainer=ddp", "trainer.devices=2", "method=none", "prior=none", "loss=mse")
    ended = devise("train", "-m", *few, *several, "report=html", "hydra.sweep.dir=grid")
    assert ended.returncode == 0, ended.stderr
    return "grid/0"


def test_the_wheel_carries_configs_assets_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"devise_exp/{p.relative_to(ROOT)}" for p in (ROOT / "conf").rglob("*.yaml")}
    package = ROOT / "src" / "devise_exp"
    files = {p for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert configs | {f"devise_exp/{p.relative_to(package)}" for p in files} <= names


def test_a_run_is_trained_evaluated_and_shown(devise: Devise, trained: str) -> None:
    ended = devise("evaluate", f"run_dir={trained}", "ks=[1]")
    assert ended.returncode == 0, ended.stderr
    shown = devise("show", trained)
    folder = Path(str(ended.stderr).split("written to ")[1].split()[0])
    assert folder.parts[-2:] == ("evaluations", "1")
    assert "unseen among unseen" in shown.stdout
    result = devise("search", trained, "piano", "-k", "3")
    assert result.returncode == 0, result.stderr
    assert "piano: nearest 3 of" in result.stdout


def test_a_grid_is_compared(devise: Devise, trained: str) -> None:
    shown = devise("compare", trained, "--format", "csv")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("\n") > 1


def test_help_and_configs_are_those_of_hydra(devise: Devise) -> None:
    groups = devise("train", "--help").stdout
    assert f"loss: {options('loss')}" in groups
    config = devise("evaluate", "--cfg", "job", "run_dir=x").stdout
    assert "run_dir: x" in config
    overview = devise("--help").stdout
    assert all(name in overview for name in ("train", "evaluate", "sweep", "look", "search", "app"))


def test_a_wrong_option_is_one_line_and_exit_code_2(devise: Devise) -> None:
    ended = devise("train", "loss=nosuch")
    assert ended.returncode == 2
    assert ended.stderr == (f"error: loss=nosuch: no such option; choose among {options('loss')}\n")
