"""The command that writes a run for other programs: devise-exp export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from devise_exp.core.command import command, prints_result
from devise_exp.core.console import print_content
from devise_exp.core.errors import InputError
from devise_exp.ui.cli.arguments import RunArgument, Trust
from devise_exp.ui.cli.output import writing

FORMATS = ("onnx", "hub")


@command
@prints_result
def export(
    run: RunArgument,
    output: Annotated[Path, typer.Option("--output", help="A new folder for the files.")],
    form: Annotated[
        str, typer.Option("--format", help="What to write.", metavar="onnx|hub")
    ] = "onnx",
    vocabulary: Annotated[
        str,
        typer.Option(
            help="With onnx: so many of the most frequent words beside the labels.",
            metavar="all|N",
        ),
    ] = "10000",
    licence: Annotated[
        str | None,
        typer.Option(help="With hub: the licence of the weights, such as apache-2.0."),
    ] = None,
    trust: Trust = False,
) -> None:
    """Write a run for other programs: an ONNX model, or a folder in the shape of a model hub.

    onnx: network, projection, prior and predicted classifiers in one graph,
    with class and word vectors, labels, and a script that names an image with
    onnxruntime, numpy and pillow alone. hub: a model card, config.json and
    model.safetensors, which devise_exp.open_hub_folder reads back.
    """
    if form not in FORMATS:
        raise InputError(f"--format {form}: choose among {', '.join(FORMATS)}")
    if licence is not None and (
        form != "hub" or not licence.replace("-", "").replace(".", "").isalnum()
    ):
        raise InputError(
            f"--licence {licence}: give the identifier of a licence, such as apache-2.0, with "
            "--format hub"
        )
    n_words = _n_words(vocabulary)
    from devise_exp.search.saved_run import Run

    saved = Run.open(run, trust)
    with writing(output, "--output"):
        if form == "hub":
            from devise_exp.pipelines.export.hub_folder import export_hub

            export_hub(saved, output, licence)
        else:
            from devise_exp.pipelines.export.onnx_folder import export_onnx

            check = export_onnx(saved, output, n_words)["check"]
            print_content(
                f"onnxruntime against torch, {check['images']} images: largest difference "
                f"{check['largest_difference']:.1g}, the same five labels for "
                f"{check['same_top_5']}"
            )
    print_content(str(output))


def _n_words(vocabulary: str) -> int | None:
    """How many words --vocabulary asks for, None for all."""
    if vocabulary == "all":
        return None
    if not vocabulary.isdecimal():
        raise InputError(f"--vocabulary {vocabulary}: give all or a number of words")
    return int(vocabulary)
