"""Wrong arguments of the commands: one line each, like all other errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devise_exp.ui.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["search"], "missing argument 'run': devise-exp search --help lists what it takes"),
        (["serch"], "no such command 'serch'"),
        (["--nonsense"], "no such option: --nonsense"),
        (["show", "run", "--nonsense"], "devise-exp show --help lists what it takes"),
        (["show", "a", "b"], "got unexpected extra argument(s) (b)"),
        (
            ["tag", "run", "x.png", "-k", "many"],
            "invalid value for '-k': Input should be a valid integer",
        ),
        (
            ["app", "run", "--port", "99999"],
            "invalid value for '--port': Input should be less than or equal to 65535",
        ),
        (["compare"], "missing argument 'RUN...'"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(app, arguments, prog_name="devise-exp")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert line in result.stderr


def test_without_arguments_it_helps() -> None:
    for arguments in ([], ["--help"], ["search", "--help"]):
        result = CliRunner().invoke(app, arguments)
        assert "Usage: " in result.output
        assert "error: " not in result.output


@pytest.mark.parametrize("out", ["file", "file/below", "file/far/below"])
def test_a_place_that_takes_no_files_is_said_before_the_search(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    for command in (["search", "run", "cat"], ["similar", "run", "x.png"]):
        result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / out)])
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {tmp_path / out}: ")
        assert result.stderr.endswith(": choose another --out\n")


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"]])
def test_help_that_a_full_disk_takes_fails(arguments: list[str]) -> None:
    program = "from devise_exp.ui.cli.main import app; app()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", program, *arguments], stdout=full)
    assert done.returncode == 1
