"""Terminals, pipes and disks that take no text: a warning at most, and never a failed command."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devise_exp.core.streams import encodable, lasting_streams

PRINTING = r"""
import sys
from devise_exp.core.command import command, prints_result
from devise_exp.core.console import notify, print_content, print_file

def main():
    for _ in range(3):
        print_content("5 \xb1 1 of B\xfccher \u5927\u718a\u732b \udce9")
        notify("a note on B\xfccher")
        print("a library's own words: \xb1")
    print_file("\xb1" * 100_000)

main = prints_result(main) if "result" in sys.argv else main
command(main)()
"""


def ended(*arguments: str, **options: object) -> tuple[int, str]:
    """Exit code and messages of the commands above."""
    done = subprocess.run(
        [sys.executable, "-c", PRINTING, *arguments],
        stderr=subprocess.PIPE, check=False, **options,  # type: ignore[call-overload]
    )  # fmt: skip
    return done.returncode, done.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_no_encoding_of_a_terminal_ends_a_command(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    code, err = ended("result", stdout=subprocess.PIPE, env=environment)
    assert code == 0
    assert "Traceback" not in err


def test_a_language_without_letters_is_an_ascii_terminal() -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, err = ended("result", stdout=subprocess.PIPE, env=environment)
    assert (code, err.splitlines()) == (0, [r"a note on B\xfccher"] * 3)


@pytest.mark.parametrize("kind", ["training", "result"])
def test_a_closed_pipe_is_no_error_and_no_warning(kind: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended(kind, stdout=writer) == (0, "a note on Bücher\n" * 3)
    finally:
        os.close(writer)


@pytest.mark.parametrize(("kind", "code"), [("training", 0), ("result", 1)])
def test_a_full_disk_is_one_warning_and_ends_only_what_prints_its_result(
    kind: str, code: int
) -> None:
    with Path("/dev/full").open("wb") as full:
        number, err = ended(kind, stdout=full)
    lines = err.splitlines()
    assert number == code
    assert [line for line in lines if not line.startswith("a note")] == [
        "warning: stdout: No space left on device: the rest of what is printed is lost"
    ]
    assert len(lines) == 4


@pytest.mark.parametrize("kind", ["training", "result"])
def test_a_command_without_streams_ends_as_it_would_with_them(kind: str) -> None:
    closing = f'{sys.executable} -c "$CODE" {kind} >&- 2>&-'
    done = subprocess.run(["sh", "-c", closing], env={**os.environ, "CODE": PRINTING}, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_stream_that_is_closed(closed: str, tmp_path: Path) -> None:
    program = f"""
import os, pathlib, subprocess
from devise_exp.core.command import command
from devise_exp.core.streams import without_stderr
@command
def main():
    with open({str(tmp_path / "file")!r}, "w") as file:
        with without_stderr():
            os.write(2, b"of native code")
        file.write(f"{{file.fileno() > 2}} {{subprocess.run(['true']).returncode}}")
main()
"""
    shell = f'{sys.executable} -c "$CODE" {closed}'
    done = subprocess.run(["sh", "-c", shell], env={**os.environ, "CODE": program}, check=False)
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "True 0"


def test_without_stderr_needs_none() -> None:
    program = """
import os
from devise_exp.core.streams import without_stderr
with without_stderr():
    print("inside")
"""
    shell = f'{sys.executable} -c "$CODE" 2>&-'
    done = subprocess.run(
        ["sh", "-c", shell], env={**os.environ, "CODE": program}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "inside\n")


def test_messages_that_cannot_be_written_are_lost_alone() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PRINTING], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 7


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("5 ± 1 → 3…", "ascii", "5 +- 1 -> 3..."),
        ("5 ± 1 → 3…", "cp1252", "5 ± 1 -> 3…"),
        ("大熊猫", "latin-1", r"\u5927\u718a\u732b"),
        ("name\udce9.jpg", "utf-8", r"name\udce9.jpg"),
    ],
)
def test_signs_that_an_encoding_lacks_are_plainer_ones_or_escapes(
    text: str, encoding: str, shown: str
) -> None:
    assert encodable(text, encoding) == shown


def test_a_library_that_keeps_the_stream_of_an_ended_command_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    with lasting_streams():
        kept = sys.stdout
        print("inside")
    assert terminal.getvalue() == "inside\n"
    terminal.close()
    kept.write("after its end")
    assert capsys.readouterr().err == ""


def test_a_closed_stream_is_told_once_while_its_command_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := io.StringIO())
    with lasting_streams():
        terminal.close()
        print("lost")
        print("lost too")
    assert capsys.readouterr().err.count("warning: stdout: ") == 1
