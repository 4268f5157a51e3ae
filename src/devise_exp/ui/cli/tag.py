"""The command that names images: devise-exp tag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from devise_exp.core.command import command, prints_result
from devise_exp.core.console import print_content, printable
from devise_exp.core.errors import InputError
from devise_exp.ui.cli.arguments import RunArgument, WordSpace
from devise_exp.ui.cli.rankings import print_neighbours, print_ranking

if TYPE_CHECKING:
    from devise_exp.search.saved_run import Run


@command
@prints_result
def tag(
    run: RunArgument,
    files: Annotated[list[Path], typer.Argument(help="Image files.", metavar="FILE...")],
    k: Annotated[
        int | None, typer.Option("-k", help="How many labels; 5, or all of fewer, unless given.")
    ] = None,
    among: Annotated[
        str, typer.Option(help="Which labels: all, seen or unseen.", metavar="all|seen|unseen")
    ] = "all",
    plain: Annotated[
        bool, typer.Option("--plain", help="Do not lower seen labels by the gamma of the run.")
    ] = False,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help="Words beyond the run's labels: all, or the N most frequent.", metavar="all|N"
        ),
    ] = None,
    space: WordSpace = "devise",
) -> None:
    """Words for images: the run's labels, or any words; --space pretraining: ImageNet's classes.

    Seen labels beside unseen ones are lowered by the gamma that the run
    chose. A search has nothing to lower: a word is the same for all images.
    """
    from devise_exp.data.decoding import open_image
    from devise_exp.data.file_names import portable
    from devise_exp.search.saved_run import Run
    from devise_exp.search.tags import calibration_line, embed_files, tag_images

    most_frequent, words = _vocabulary_size(vocabulary), vocabulary is not None
    _check_applies(space, among, plain)
    saved = Run.open(run)
    line = calibration_line(saved, words, among, plain)
    saved.centre_in(space)  # an error before the network is built
    for file in files:  # before the network is built
        open_image(file)
    if space == "pretraining" and not words:
        _print_names(saved, files, k)
        return
    vectors = embed_files(saved, files, space)
    tags = tag_images(saved, vectors, k, words, most_frequent, among, plain, space)
    records = () if words else saved.folder.classes()
    kinds = {record.name: "seen" if record.seen else "unseen" for record in records}
    for file, neighbours in zip(files, tags, strict=True):
        print_content(printable(portable(str(file))))
        print_neighbours(neighbours, "word" if words else "label", kinds)
    if line and space == "devise":
        print_content(line)


def _print_names(saved: Run, files: Sequence[Path], k: int | None) -> None:
    """What the backbone's own classifier calls image files."""
    from devise_exp.data.file_names import portable
    from devise_exp.data.images import ImageFiles
    from devise_exp.search.tags import DEFAULT_TAGS

    n = DEFAULT_TAGS if k is None else k
    names = saved.name_images(ImageFiles(str(file) for file in files), n)
    for file, of_file in zip(files, names, strict=True):
        print_content(printable(portable(str(file))))
        rows = [(i, name, f"{share:.3f}") for i, (name, share) in enumerate(of_file, start=1)]
        print_ranking(["pretraining class"], rows, "probability")


def _check_applies(space: str, among: str, plain: bool) -> None:
    """InputError for options of the run's labels where words of a classifier are asked for."""
    if space != "pretraining":
        return
    for option, given in ((f"--among {among}", among != "all"), ("--plain", plain)):
        if given:
            raise InputError(
                f"{option} with --space pretraining: the words of the backbone's own classifier "
                "are neither seen nor unseen, and none is lowered: leave out one of the two"
            )


def _vocabulary_size(vocabulary: str | None) -> int | None:
    """The number of words that --vocabulary asks for, None for all."""
    if vocabulary in (None, "all"):
        return None
    if not str(vocabulary).isdecimal():
        raise InputError(f"--vocabulary {vocabulary}: give all or a number of words")
    return int(str(vocabulary))
