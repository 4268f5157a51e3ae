"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
AllCopies = Annotated[
    bool,
    typer.Option("--all-copies", help="Near copies of a hit as hits too, not folded into it."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for grid.png and page.html; RUN/searches/... unless given."),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Import and build parts of your own that the run names: for a folder you trust.",
    ),
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
