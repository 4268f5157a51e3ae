"""The commands that ask a finished run: devise-exp search | similar | tag | words | index."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from devise_exp.core.command import command, prints_result
from devise_exp.core.console import notify, print_content, printable, warn
from devise_exp.core.errors import InputError
from devise_exp.ui.cli.output import check_out, writing
from devise_exp.ui.cli.search_folder import search_folder

if TYPE_CHECKING:
    from devise_exp.search.answers import Answer
    from devise_exp.search.saved_run import Run

RunArgument = Annotated[Path, typer.Argument(help="A run folder, such as outputs/latest.")]
K = Annotated[
    int | None, typer.Option("-k", help="How many images; 12, or all of fewer, unless given.")
]
GalleryName = Annotated[
    str,
    typer.Option(
        "--among", help="Which images: all, val, test, unseen, or a FOLDER that was indexed."
    ),
]
ImageRoot = Annotated[
    Path | None, typer.Option(help="Where the images are, if not where they were in training.")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for grid.png and page.html; RUN/searches/... unless given."),
]
Space = Annotated[
    str,
    typer.Option(help="What images are compared in: devise, pretraining, backbone or classifier."),
]
WordSpace = Annotated[
    str,
    typer.Option(
        help="Where words meet images: devise (trained), or pretraining (the words of the "
        "backbone's own classifier, for what is far from all trained classes).",
        metavar="devise|pretraining",
    ),
]


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
    out: Out = None,
) -> None:
    """Images for words, for an image (--image), or for both together."""
    from devise_exp.search.answers import find_images
    from devise_exp.search.far_words import far_line
    from devise_exp.search.saved_run import Run

    check_out(out)
    saved = Run.open(run)
    answer = find_images(saved, text, image, gallery, k, space, image_root)
    named = "" if space == "devise" else space
    _show(answer, out, search_folder(run, text, image, gallery, named))
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
    out: Out = None,
) -> None:
    """Images like this one."""
    from devise_exp.search.answers import find_images
    from devise_exp.search.saved_run import Run

    check_out(out)
    saved = Run.open(run)
    answer = find_images(saved, "", file, gallery, k, space, image_root)
    _show(answer, out, search_folder(run, "", file, gallery, space))


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
        _print_neighbours(neighbours, "word" if words else "label", kinds)
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
        _print_ranking(["pretraining class"], rows, "probability")


@command
@prints_result
def words(
    run: RunArgument,
    text: Annotated[str, typer.Argument(help='Words: "said", "king -man +woman".')],
    k: Annotated[int, typer.Option("-k", help="How many words.")] = 10,
    most_frequent: Annotated[
        int | None, typer.Option(help="Search the N most frequent words only.", metavar="N")
    ] = None,
) -> None:
    """The words nearest to a text in the run's word vectors."""
    from devise_exp.search.answers import nearest_words
    from devise_exp.search.saved_run import Run

    neighbours = nearest_words(Run.open(run), text, k, most_frequent)
    _print_neighbours(neighbours, "word")


@command
def index(
    run: RunArgument,
    folder: Annotated[Path, typer.Argument(help="A folder of images, with or without classes.")],
) -> None:
    """Make a folder of your own images searchable; run it again after the folder has changed."""
    from devise_exp.search.saved_run import Run

    try:
        report = Run.open(run).index_folder(folder)
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


def _show(answer: Answer, out: Path | None, usual: Path) -> None:
    """The hits as a table, and as a contact sheet in `out`, by default in the run folder."""
    labelled = any(hit.row.label for hit in answer.hits)
    rows = [
        (number, hit.row.name, *([hit.row.label] if labelled else []), f"{hit.similarity:.3f}")
        for number, hit in enumerate(answer.hits, start=1)
    ]
    title = (
        f"{answer.reading}: nearest {len(answer.hits)} of {answer.n:,} images ({answer.gallery})"
    )
    print_content(title)
    _print_ranking(["image", *(["label"] if labelled else [])], rows)
    absent = sum(not (hit.row.path and Path(hit.row.path).is_file()) for hit in answer.hits)
    if absent:
        notify(
            f"{absent} of these {len(answer.hits)} images are not on disk, so the sheet has "
            "their names: --image-root FOLDER says where they are"
        )
    if out is not None:
        with writing(out):
            _write_sheet(answer, title, out)
        return
    try:
        _write_sheet(answer, title, usual)
    except OSError as error:  # a run that others may only read
        warn(f"{usual}: no sheet of these images: {error.strerror}: --out FOLDER takes one")


def _write_sheet(answer: Answer, title: str, out: Path) -> None:
    from devise_exp.core.files import atomic_path, write_text
    from devise_exp.reports.contact_sheet import Tile, draw_sheet, sheet_html

    tiles = []
    for hit in answer.hits:
        row, note = hit.row, f"{hit.similarity:.3f}"
        image = Path(row.path) if row.path and Path(row.path).is_file() else None
        marked = row.label == answer.of_class if answer.of_class and row.label else None
        if row.label:
            note += f"  {printable(row.name)}"
        tiles.append(Tile(image, printable(row.label or row.name), note, marked))
    with atomic_path(out / "grid.png") as path:
        draw_sheet(tiles, title).save(path)
    write_text(out / "page.html", sheet_html(tiles, answer.reading, title))
    print_content(str(out / "grid.png"), str(out / "page.html"))


def _print_neighbours(
    neighbours: list[tuple[str, float]], heading: str, kinds: Mapping[str, str] | None = None
) -> None:
    """Print words, or labels with their kind."""
    rows = [
        (number, name, *([kinds[name]] if kinds else []), f"{similarity:.3f}")
        for number, (name, similarity) in enumerate(neighbours, start=1)
    ]
    _print_ranking([heading, *([""] if kinds else [])], rows)


def _print_ranking(
    headings: list[str], rows: Sequence[tuple[Any, ...]], number: str = "similarity"
) -> None:
    """Print numbered rows that end with their similarity, or another number."""
    from devise_exp.reports.table_views import to_rich
    from devise_exp.reports.tables import Column, Table

    names = map(Column, headings)
    columns = (Column("", "right"), *names, Column(number, "right"))
    print_content(to_rich(Table(columns=columns, rows=tuple(rows))))
