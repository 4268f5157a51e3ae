"""The command that names images: devise-exp tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from devise_exp.core.command import command, prints_result
from devise_exp.core.console import notify, printable
from devise_exp.core.errors import InputError
from devise_exp.ui.cli.arguments import RunArgument, Trust, WordSpace
from devise_exp.ui.cli.rankings import ranking
from devise_exp.ui.cli.result import Format, Output, Result, result_of

if TYPE_CHECKING:
    from devise_exp.search.neighbours import Neighbours
    from devise_exp.search.saved_run import Run
    from devise_exp.search.tagged_files import Name, TaggedFile

SHOWN = 10  # files that cannot be read, one line each; then their number


class Shown(NamedTuple):
    """What tags are called: in a table, in files, and the number beside them."""

    heading: str
    key: str
    number: str


LABEL = Shown("label", "label", "similarity")
WORD = Shown("word", "word", "similarity")
CLASSIFIER = Shown("pretraining class", "label", "probability")


@command
@prints_result
def tag(
    run: RunArgument,
    files: Annotated[
        list[Path],
        typer.Argument(help="Image files, or folders of them.", metavar="FILE|FOLDER..."),
    ],
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
    form: Format = None,
    output: Output = None,
    trust: Trust = False,
) -> None:
    """Words for images: the run's labels, or any words; --space pretraining: ImageNet's classes.

    Seen labels beside unseen ones are lowered by the gamma that the run
    chose. A search has nothing to lower: a word is the same for all images.
    Images that cannot be read are listed, and the others are tagged.
    """
    from devise_exp.search.saved_run import Run
    from devise_exp.search.tagged_files import list_images, tag_files
    from devise_exp.search.tags import calibration_line

    most_frequent, words = _vocabulary_size(vocabulary), vocabulary is not None
    _check_applies(space, among, plain)
    with result_of(form, output) as result:
        saved = Run.open(run, trust)
        line = calibration_line(saved, words, among, plain)
        saved.centre_in(space)  # an error before the network is built
        listed, notes = list_images(files)
        kinds = _kinds(saved, words, space)
        for note in notes:
            notify(note)
        if space == "pretraining" and not words:
            name, shown = _classifier_names(saved, k), CLASSIFIER
        else:
            name = _nearest_labels(saved, (k, words, most_frequent, among, plain, space))
            shown = WORD if words else LABEL
        n_broken = 0
        for tagged in tag_files(listed, name):
            n_broken += bool(tagged.error)
            if tagged.error and n_broken <= SHOWN:
                notify(f"skipped {tagged.path}: {tagged.error}")
            _write(tagged, shown, kinds, result)
        if n_broken > SHOWN:
            notify(f"skipped {n_broken:,} of {len(listed):,} images in all")
        result.end_items()
        if line and space == "devise":
            result.show(line)


def _kinds(run: Run, words: bool, space: str) -> dict[str, str]:
    """Label -> seen or unseen; none where words are neither."""
    if words or space == "pretraining":
        return {}
    return {record.name: "seen" if record.seen else "unseen" for record in run.folder.classes()}


def _nearest_labels(run: Run, options: tuple[Any, ...]) -> Name:
    """Name image files by the nearest labels or words; `options` are those of tag_images."""
    from devise_exp.search.tags import embed_files, tag_images

    def name(files: Sequence[Path]) -> Sequence[Neighbours]:
        return tag_images(run, embed_files(run, files, options[-1]), *options)

    return name


def _classifier_names(run: Run, k: int | None) -> Name:
    """Name image files by the backbone's own classifier."""
    from devise_exp.data.images import ImageFiles
    from devise_exp.search.tags import DEFAULT_TAGS

    def name(files: Sequence[Path]) -> Sequence[Neighbours]:
        n = DEFAULT_TAGS if k is None else k
        return run.name_images(ImageFiles(str(file) for file in files), n)

    return name


def _write(tagged: TaggedFile, shown: Shown, kinds: Mapping[str, str], result: Result) -> None:
    """Give out the tags of one file."""
    from devise_exp.data.file_names import portable

    image = portable(str(tagged.path))
    tags = [
        {shown.key: name, "kind": kinds.get(name), shown.number: round(number, 6)}
        for name, number in tagged.tags
    ]
    rows = [(image, rank, *of_tag.values(), None) for rank, of_tag in enumerate(tags, start=1)]
    empty = (image, None, None, None, None, tagged.error)
    result.rows(("image", "rank", shown.key, "kind", shown.number, "error"), rows or [empty])
    result.item({"image": image, "tags": tags} | ({"error": tagged.error} if tagged.error else {}))
    if tagged.error:
        return
    cells = [(name, *([kinds[name]] if kinds else []), number) for name, number in tagged.tags]
    headings = [shown.heading, *([""] if kinds else [])]
    result.show(printable(image), ranking(headings, cells, shown.number))


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
