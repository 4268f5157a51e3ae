"""The commands that read finished runs: devise-exp show | classes | compare."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from devise_exp.core.command import command, prints_result
from devise_exp.core.console import notify, print_content, print_file, printable
from devise_exp.core.errors import InputError
from devise_exp.ui.cli.arguments import RunArgument
from devise_exp.ui.cli.output import writing

FORMAT_OF = {".csv": "csv", ".md": "markdown", ".tex": "latex", ".html": "html"}


@command
@prints_result
def show(run: RunArgument) -> None:
    """The table of a run (its report.md)."""
    from rich.markdown import Markdown  # late: a tenth of a second, of every command

    from devise_exp.runs.folder import RunFolder

    lines = RunFolder(run).report().splitlines()
    print_content(Markdown("\n".join(map(printable, lines))), width=200)


@command
@prints_result
def classes(run: RunArgument) -> None:
    """How the classes of a run got their word vectors, and which of them the backbone knew."""
    from devise_exp.reports.image_name_cells import (
        IMAGES_HEADING,
        has_image_names,
        image_name_lines,
        image_names_cell,
    )
    from devise_exp.reports.table_views import to_rich
    from devise_exp.reports.tables import Column, Table
    from devise_exp.reports.word_cells import CHECK_HEADINGS, SENSE_HEADING, check_cells
    from devise_exp.runs.folder import RunFolder
    from devise_exp.text.wordnet.sense_notes import NOT_PLACED, PLACING

    folder, rows = RunFolder(run), []
    records, details = folder.classes(), folder.details()
    senses = folder.sense_notes()
    verdicts = {record.name: record.verdict for record in records if record.verdict}
    verdicts |= details.verdicts(record.name for record in records if not record.seen)
    named = has_image_names(records)
    for record in sorted(records, key=lambda record: record.seen):
        relations = details.relations.get(record.name, ())[:3]
        overlaps = "; ".join(relations) or verdicts.get(record.name, "")
        side = "seen" if record.seen else "unseen"
        row = record.name, side, " ".join(record.words), record.rule
        sense = senses[record.name].text if record.name in senses else NOT_PLACED * bool(senses)
        called = [image_names_cell(record, verdicts.get(record.name, ""))] if named else []
        rows.append((*row, *check_cells(record.check), sense, overlaps, *called))
    headings = ["class", "", "words", "how", *CHECK_HEADINGS, SENSE_HEADING]
    headings += ["known to the pretraining", *([IMAGES_HEADING] if named else [])]
    print_content(to_rich(Table(columns=tuple(map(Column, headings)), rows=tuple(rows))))
    if senses and any(record.name not in senses for record in records):
        print_content(PLACING)
    print_content(*image_name_lines(records, verdicts, details.unnamed))


@command
@prints_result
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Run folders, for example multirun/*/*/*.", metavar="RUN..."),
    ],
    methods: Annotated[
        bool, typer.Option("--methods", help="A line for each method within the runs too.")
    ] = False,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Text instead of the table; by the ending of --out unless given.",
            metavar="csv|markdown|latex|html",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A file to write.")] = None,
) -> None:
    """Put runs of one split side by side, in per cent.

    Runs that differ in the seed alone are one line, mean ± standard deviation; those that differ
    in split.seed too are averaged over splits. One series over splits is a table of its methods.
    """
    form = form or (FORMAT_OF.get(out.suffix) if out else None)
    _check_format(form, out)
    from devise_exp.core.files import write_text
    from devise_exp.reports import comparison
    from devise_exp.reports.comparison_formats import FORMATS, rich_table
    from devise_exp.runs.results import runs_in
    from devise_exp.runs.series_folder import splits_ordered

    finished = runs_in(runs, several_splits=True)
    table = comparison.compare(finished, methods)
    if table.span is not None and len(table.lines) == 1:
        table = comparison.over_splits(runs)
    elif table.span is None and (ordered := splits_ordered(finished[0].path)) > 1:
        notify(_other_splits(finished[0].path, ordered))
    if form is None:
        print_content(rich_table(table))
    elif out is None:
        print_file(FORMATS[form](table))
    else:
        with writing(out):
            write_text(out, FORMATS[form](table))
        print_content(str(out))


def _other_splits(run: Path, ordered: int) -> str:
    """What to do for the table over all splits of the series of a run."""
    from devise_exp.runs.series_folder import run_folders, series_of

    series = series_of(run)
    assert series is not None
    if len({path.parent for path in run_folders(series)}) > 1:
        return f"one of the {ordered} splits of this series: give its folder for the others"
    return (
        f"the one split of {ordered} that is finished in this series: "
        f"devise-exp train {shlex.join([f'resume={series}'])} goes on with the others"
    )


def _check_format(form: str | None, out: Path | None) -> None:
    """InputError for an unknown format, and if the file cannot be written where it should be."""
    if form not in (*FORMAT_OF.values(), None) or (out and form is None):
        option = f"--format {form}" if form else f"--out {out}"
        raise InputError(
            f"{option}: give --format {' or '.join(FORMAT_OF.values())}, or an --out file that "
            f"ends in {' '.join(FORMAT_OF)}"
        )
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(
            f"{out}: there is no folder {out.parent}: make it, or choose another --out"
        )
