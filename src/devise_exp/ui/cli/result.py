"""Where the result of a command goes: a table, CSV or JSON, on stdout or in a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from devise_exp.core.console import print_content, print_file, printable
from devise_exp.core.errors import InputError
from devise_exp.core.files import atomic_path
from devise_exp.ui.cli.output import check_out, writing

FORMATS = ("table", "csv", "json")
FORMAT_OF = {".csv": "csv", ".json": "json", ".txt": "table"}

Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="table, csv or json; by the ending of --output (.txt, .csv, .json) unless given.",
        metavar="table|csv|json",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", help="A file for the result, instead of stdout.")
]


class Result:
    """The result of a command in one format, written as it comes.

    Args:
        form: One of FORMATS.
        file: Where it goes; None: stdout.
    """

    def __init__(self, form: str, file: TextIO | None) -> None:
        self.form, self.file = form, file
        self._began = False

    def show(self, *contents: Any) -> None:
        """Print what a person reads: nothing in the formats of programs.

        Args:
            *contents: As for print_content.
        """
        if self.form == "table":
            print_content(*contents, file=self.file)

    def rows(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write rows of CSV; nothing in the other formats.

        Args:
            columns: The head, which is the same each time.
            rows: The rows; None is an empty cell.
        """
        if self.form != "csv":
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._began:
            writer.writerow(columns)
        self._began = True
        # A name may hold what would steer a terminal.
        writer.writerows([printable(v) if isinstance(v, str) else v for v in row] for row in rows)
        self._write(text.getvalue())

    def item(self, value: Any) -> None:
        """Write an element of a JSON list; nothing in the other formats.

        Args:
            value: Plain values, lists and dicts.
        """
        if self.form == "json":
            self._write(f"{',' if self._began else '['}\n{json.dumps(value)}")
            self._began = True

    def whole(self, value: Any) -> None:
        """Write one value as JSON; nothing in the other formats.

        Args:
            value: Plain values, lists and dicts.
        """
        if self.form == "json":
            self._write(f"{json.dumps(value, indent=1)}\n")

    def end_items(self) -> None:
        """End the list of `item`."""
        if self.form == "json":
            self._write("\n]\n" if self._began else "[]\n")

    def _write(self, text: str) -> None:
        if self.file is None:
            print_file(text)
        else:
            self.file.write(text)


@contextmanager
def result_of(form: str | None, output: Path | None) -> Iterator[Result]:
    """Open the result of a command; a file is written as a whole or not at all.

    Args:
        form: What --format says.
        output: What --output says.

    Yields:
        The result.

    Raises:
        InputError: There is no such format, or the file cannot be written.
    """
    if output is not None and output.is_dir():
        raise InputError(f"--output {output} is a folder: give the path of a file")
    if form is None and output is not None and output.suffix.lower() not in FORMAT_OF:
        raise InputError(
            f"--output {output}: its ending names no format: give {', '.join(FORMAT_OF)}, or add "
            "--format"
        )
    form = form or (FORMAT_OF[output.suffix.lower()] if output else "table")
    if form not in FORMATS:
        raise InputError(f"--format {form}: choose among {', '.join(FORMATS)}")
    if output is None:
        yield Result(form, None)
        return
    with writing(output, "--output"):
        check_out(output.absolute().parent, "--output")
    with (
        writing(output, "--output"),
        atomic_path(output) as path,
        path.open("w", encoding="utf-8", newline="") as file,
    ):
        yield Result(form, file)
    print_content(str(output))
