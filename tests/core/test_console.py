"""The console: notes on stderr, results on stdout, and nothing that steers a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from devise_exp.core.console import (
    format_error,
    notify,
    print_content,
    print_error,
    printable,
    progress,
    spinner,
    track,
    warn,
)
from devise_exp.core.errors import InputError
from devise_exp.reports.table_views import to_rich
from devise_exp.reports.tables import Column
from devise_exp.reports.tables import Table as TableRecord


def test_notes_go_to_stderr_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    line = "a [bold]note[/bold] of :dog: " + "word " * 60
    notify(line)
    warn("look")
    print_error("wrong")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{line}\nwarning: look\nerror: wrong\n"


def test_no_text_of_a_table_or_a_bar_is_markup() -> None:
    name = "[red]a[/red] :dog:.jpg"
    out = io.StringIO()
    rows = TableRecord(columns=(Column(name),), rows=((name,),), title=name, note=name)
    Console(file=out, width=120).print(to_rich(rows))
    assert out.getvalue().count(name) == 4
    for columns in (None, ["{task.description}"]):
        bar = progress("pace", columns=columns)
        bar.add_task(name, total=1, pace=name)
        out = io.StringIO()
        Console(file=out, width=200).print(bar.get_renderable())
        assert out.getvalue().count(name) == 2


def test_a_file_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b]0;title\a\n.jpg"
    notify(f"skipped {name}")
    warn(name)
    print_error(f"{name}: cannot be read")
    escaped = r"a\x1b]0;title\x07\n.jpg"
    assert capsys.readouterr().err == (
        f"skipped {escaped}\nwarning: {escaped}\nerror: {escaped}: cannot be read\n"
    )


def test_results_go_to_stdout_and_a_pipe_does_not_wrap_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("[bold]word[/bold] " * 30)
    print_content("[1] " * 500, table)
    out, err = capsys.readouterr()
    text, plain = (line.rstrip() for line in out.splitlines())
    assert text == ("[1] " * 500).rstrip()
    assert plain == ("word " * 30).rstrip()
    assert err == ""


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(3), "counting")) == [0, 1, 2]
    with progress("pace") as bar:
        task = bar.add_task("working", total=2, pace="")
        bar.update(task, completed=1, pace="1 image/s")
    with spinner("waiting"):
        pass
    assert capsys.readouterr() == ("", "")


def test_what_would_steer_a_terminal_is_escaped() -> None:
    assert printable("\x1b]0;title\a\nna\u00efve\u202e") == "\\x1b]0;title\\x07\\nna\u00efve\\u202e"
    assert format_error(InputError("two\nlines")) == "two lines"
    assert format_error(KeyError("a\nb")) == r"KeyError: 'a\nb'"
