"""The commands that show images: devise-exp look | app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from devise_exp.core.command import command
from devise_exp.ui.cli.arguments import Trust


@command
def look(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTION=VALUE]...", help="As for train: data=... data.root=..."),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many images.")] = 24,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("look"),
    seed: Annotated[int, typer.Option(help="Draws and augments the images.")] = 0,
    config_dir: Annotated[
        Path | None,
        typer.Option(help="A folder of your own options, FOLDER/GROUP/NAME.yaml."),
    ] = None,
    unseen_file: Annotated[
        Path | None,
        typer.Option(help="Write the unseen classes to this file, for split.unseen_file=FILE."),
    ] = None,
) -> None:
    """Before training: words and overlap verdict of each class, and a sheet of training images."""
    from devise_exp.core.config import check_given_once  # late: Hydra
    from devise_exp.pipelines import dry_run

    check_given_once(overrides or [])
    dry_run.preview(overrides or [], out, n, seed, config_dir, unseen_file)


@command
def app(
    run: Annotated[Path, typer.Argument(help="A run folder, such as outputs/latest.")],
    host: Annotated[
        str, typer.Option(help="Address to serve on; the default is for this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(help="Port; the first free one from 7860 on unless given.", min=1, max=65535),
    ] = None,
    image_root: Annotated[
        Path | None,
        typer.Option(help="Where the images are, if not where they were in training."),
    ] = None,
    trust: Trust = False,
) -> None:
    """Serve a page that searches a run's images by words or an image (needs the extra `app`)."""
    from devise_exp.search.saved_run import Run
    from devise_exp.ui.page import page  # late: it imports gradio

    page.serve(Run.open(run, trust), host, port, image_root)
