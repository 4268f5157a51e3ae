"""The program devise-exp, from its first to its last moment."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from helpers.paths import ROOT

import devise_exp
from devise_exp.__main__ import main

SCRIPT = """
import atexit
from devise_exp.__main__ import main
class Slow:
    def __del__(self):
        print("taken apart")
slow = Slow()
atexit.register(lambda: print("handler"))
main()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "last"),
    [
        # All its objects are taken apart if the command fails, whose end may need it.
        (["show", "nowhere"], 2, ["handler", "taken apart"]),
        (["--help"], 0, ["handler"]),
        (["--version"], 0, [f"devise-exp {devise_exp.__version__}", "handler"]),
        (["look", "--help"], 0, ["handler"]),
    ],
)
def test_a_command_that_has_done_its_work_ends_at_once(
    arguments: list[str], code: int, last: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "devise-exp"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stdout.splitlines()[-len(last) :] == last
    assert ("taken apart" in done.stdout) == ("taken apart" in last)


def test_the_program_is_installed_as_such() -> None:
    (program,) = entry_points(group="console_scripts", name="devise-exp")
    assert program.load() is main


@pytest.mark.parametrize("streams", ["", ">&-", "2>&-", ">&- 2>&-", "| true"])
def test_streams_that_are_closed_fail_no_command(streams: str, tmp_path: Path) -> None:
    script = tmp_path / "devise-exp"
    script.write_text("from devise_exp.__main__ import main\nmain()\n")
    command = f"{shlex.join([sys.executable, str(script), 'train', '--cfg', 'job'])} {streams}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["tag", "run", ""], ["show", ""], ["look", "--out", ""]])
def test_an_argument_that_is_empty_is_not_the_working_folder(
    arguments: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "devise-exp"
    script.write_text("from devise_exp.__main__ import main\nmain()\n")
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: an argument is empty: give it a value, or leave it out\n"
    assert [*tmp_path.iterdir()] == [script]


# Ctrl-C as the module is imported that ends commands in one line.
STOP = """
import os, signal, sys
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "devise_exp.core.command":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop())
"""


@pytest.mark.parametrize(
    "words", [[str(ROOT / "train.py")], [str(ROOT / "evaluate.py")], ["-m", "devise_exp"]]
)
def test_ctrl_c_during_imports_is_no_traceback(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(STOP)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
