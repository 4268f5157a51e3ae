"""The commands that search a finished run: devise-exp search | similar | words | index."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from devise_exp.core.command import command, prints_result
from devise_exp.core.console import notify, print_content
from devise_exp.ui.cli.arguments import (
    AllCopies,
    GalleryName,
    ImageRoot,
    K,
    Out,
    RunArgument,
    Space,
    Trust,
    WordSpace,
)
from devise_exp.ui.cli.hits import show_hits
from devise_exp.ui.cli.output import check_out
from devise_exp.ui.cli.rankings import ranking
from devise_exp.ui.cli.result import Format, Output, result_of
from devise_exp.ui.cli.search_folder import search_folder

WORD_COLUMNS = ("rank", "word", "similarity")


@command
@prints_result
def search(
    run: RunArgument,
    text: Annotated[
        str,
        typer.Argument(help='Words: "ocean", "horse -grass", "2*cat sofa".', show_default=False),
    ] = "",
    image: Annotated[Path | None, typer.Option(help="An image to search by as well.")] = None,
    gallery: GalleryName = "all",
    k: K = None,
    space: WordSpace = "devise",
    image_root: ImageRoot = None,
    all_copies: AllCopies = False,
    out: Out = None,
    form: Format = None,
    output: Output = None,
    trust: Trust = False,
) -> None:
    """Images for words, for an image (--image), or for both together."""
    from devise_exp.search.answers import find_images
    from devise_exp.search.far_words import far_line
    from devise_exp.search.saved_run import Run

    check_out(out)
    named = "" if space == "devise" else space
    with result_of(form, output) as result:
        saved = Run.open(run, trust)
        answer = find_images(saved, text, image, gallery, k, space, image_root, all_copies)
        show_hits(answer, out, search_folder(run, text, image, gallery, named), result)
    if answer.far:
        remedy = "try --space pretraining" if "pretraining" in saved.spaces else ""
        notify(far_line(answer.far, remedy))


@command
@prints_result
def similar(
    run: RunArgument,
    file: Annotated[Path, typer.Argument(help="An image file.")],
    gallery: GalleryName = "all",
    space: Space = "devise",
    k: K = None,
    image_root: ImageRoot = None,
    all_copies: AllCopies = False,
    out: Out = None,
    form: Format = None,
    output: Output = None,
    trust: Trust = False,
) -> None:
    """Images like this one."""
    from devise_exp.search.answers import find_images
    from devise_exp.search.saved_run import Run

    check_out(out)
    with result_of(form, output) as result:
        saved = Run.open(run, trust)
        answer = find_images(saved, "", file, gallery, k, space, image_root, all_copies)
        show_hits(answer, out, search_folder(run, "", file, gallery, space), result)


@command
@prints_result
def words(
    run: RunArgument,
    text: Annotated[str, typer.Argument(help='Words: "said", "king -man +woman".')],
    k: Annotated[int, typer.Option("-k", help="How many words.")] = 10,
    most_frequent: Annotated[
        int | None, typer.Option(help="Search the N most frequent words only.", metavar="N")
    ] = None,
    form: Format = None,
    output: Output = None,
    trust: Trust = False,
) -> None:
    """The words nearest to a text in the run's word vectors."""
    from devise_exp.search.answers import nearest_words
    from devise_exp.search.saved_run import Run

    with result_of(form, output) as result:
        neighbours = nearest_words(Run.open(run, trust), text, k, most_frequent)
        rows = [(rank, word, round(s, 6)) for rank, (word, s) in enumerate(neighbours, start=1)]
        result.rows(WORD_COLUMNS, rows)
        result.whole(
            {"query": text, "words": [dict(zip(WORD_COLUMNS, row, strict=True)) for row in rows]}
        )
        result.show(ranking(["word"], neighbours))


@command
def index(
    run: RunArgument,
    folder: Annotated[Path, typer.Argument(help="A folder of images, with or without classes.")],
    trust: Trust = False,
) -> None:
    """Make a folder of your own images searchable; run it again after the folder has changed."""
    from devise_exp.search.saved_run import Run

    try:
        report = Run.open(run, trust).index_folder(folder)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("the same command goes on from here") from error
    for reason in report.skipped[:3]:
        notify(f"skipped {reason}")
    print_content(
        f"{report.n:,} images: {report.added:,} added, {report.changed:,} changed, "
        f"{report.dropped:,} dropped, {len(report.skipped):,} skipped"
    )
    example = f"devise-exp search {shlex.quote(str(run))} WORDS --among {shlex.quote(str(folder))}"
    print_content(f"search them: {example}")
